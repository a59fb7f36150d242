"""One run: clear, plan, let duplicity make a set, settle it, and say how it went."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from nightdrop.errors import NightdropError
from nightdrop.names import SetType
from nightdrop.progress import ProgressLine
from nightdrop.text import harmless
from nightdrop_client import gpgsm
from nightdrop_client.configuration import Client
from nightdrop_client.droplog import DropLog, FinishedSet
from nightdrop_client.duplicity_arguments import backup_arguments
from nightdrop_client.events import Event, parse_event
from nightdrop_client.job import Job
from nightdrop_client.leftovers import clear
from nightdrop_client.mirrors import Mirrors
from nightdrop_client.planning import Plan, plan
from nightdrop_client.progress import RunProgress
from nightdrop_client.settling import settle
from nightdrop_client.state import State

Say = Callable[[str], object]


@dataclass
class Outcome:
    """How a run went. `failures` are the mirrors that were lost and why; `lacking` those without this
    set's receipt; `stored` the octets of the set on a mirror; `notes` what duplicity warned of.
    """

    plan: Plan
    done: FinishedSet
    stored: int
    volumes: int
    seconds: float
    failures: dict[str, str]
    lacking: list[str]
    notes: list[str] = field(default_factory=list)

    @property
    def everywhere(self) -> bool:
        """Whether every mirror has the set and every source file is in it."""
        return not self.lacking and not self.failures and not self.done.unread


def run_backup(client: Client, full_wanted: bool, say: Say) -> Outcome:
    """Make one set. Raises NightdropError if there is none in the end; then nothing older is lost."""
    begun = time.monotonic()
    state = State(client.state)
    state.prepare()
    lock = state.lock()
    log = DropLog(state.drop_log)
    for key in clear(state, log):
        say(f"the local metadata of {key.stem} is gone; nothing new will build on that set")
    names = [mirror.name for mirror in client.bundle.mirrors]
    mirrors = Mirrors(client.bundle.host, client.bundle.mirrors, state.scratch, client.patience)
    try:
        mirrors.greet()
        for name, why in mirrors.failures.items():
            say(f"the mirror {name} is away: {why}")
        settle(client, state, log, mirrors)
        chosen = plan(log, names, client.full_every, time.time(), full_wanted)
        say(f"making {'a full' if chosen.type == 'full' else 'an incremental'}: {chosen.reason}")
        job = _job(client, state, chosen.type, mirrors.failures)
        with ProgressLine() as line:
            progress = RunProgress(line, mirrors.living)
            duplicity = _Duplicity(state, job, lock)
            duplicity.run(progress)
        mirrors.bury(duplicity.lost)
        done = next(done for done in log.sets() if done.key.stem == duplicity.finished)
        lacking = settle(client, state, log, mirrors)[done.key.stem]
        return Outcome(
            chosen,
            done,
            sum(file.size for file in log.files(done.key).values()),
            progress.volumes,
            time.monotonic() - begun,
            mirrors.failures,
            lacking,
            duplicity.notes,
        )
    finally:
        mirrors.close()
        log.close()
        os.close(lock)


def _job(client: Client, state: State, set_type: SetType, dead: dict[str, str]) -> Path:
    """Lay out what the duplicity process needs; the path of its job."""
    recipients = state.scratch / "recipients.pem"
    recipients.write_text("".join(recipient.pem for recipient in client.recipients))
    stand_in = state.scratch / "gpgsm"
    gpgsm.write_script(stand_in, recipients, client.cipher, client.compress)
    path = state.scratch / "job.json"
    Job(
        arguments=backup_arguments(client, state, set_type, stand_in),
        bundle=str(client.bundle_path),
        state=str(state.root),
        started=time.time(),
        patience=client.patience,
        dead=dead,
    ).write(path)
    return path


class _Duplicity:
    """The duplicity process, and what it told."""

    def __init__(self, state: State, job: Path, lock: int) -> None:
        self._state = state
        self._job = job
        self._lock = lock
        self.finished = ""
        self.lost: dict[str, str] = {}
        self.notes: list[str] = []
        self._errors: list[Event] = []

    def run(self, progress: RunProgress) -> None:
        """Run it to its end; NightdropError if it finished no set."""
        reading, writing = os.pipe()
        words = [sys.executable, "-I", "-m", "nightdrop_client.launcher", str(self._job), str(writing)]
        with self._state.duplicity_log.open("wb") as log, _stopped_with_us():
            process = subprocess.Popen(
                words,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=_environment(),
                pass_fds=(writing, self._lock),
            )
            os.close(writing)
            try:
                with os.fdopen(reading, encoding="utf-8") as lines:
                    for line in lines:
                        self._hear(parse_event(line), progress)
                status = process.wait()
            finally:
                with suppress(ProcessLookupError):
                    process.terminate()
                process.wait()
        if status != 0 or not self.finished:
            raise self._failure(status)

    def _hear(self, event: Event, progress: RunProgress) -> None:
        match event.kind:
            case "lost":
                self.lost[event.mirror] = event.text
            case "warning":
                self.notes.append(event.text)
            case "error":
                self._errors.append(event)
            case "finished":
                self.finished = event.text
        progress.see(event)

    def _failure(self, status: int) -> NightdropError:
        """What a run without a finished set is reported as: this reads duplicity's exit status."""
        if self.lost:
            reasons = "; ".join(f"{name}: {why}" for name, why in self.lost.items())
            return NightdropError(
                f"every mirror was lost in the middle of the backup ({reasons})",
                "what was dropped is no complete set; the next run makes a new one",
            )
        if self._errors:
            last = self._errors[-1].text.strip().split("\n")
            said = harmless(last[-1])
        else:
            said = f"it ended with status {status}"
        return NightdropError(
            f"duplicity made no backup: {said}", f"all it said is in {self._state.duplicity_log}"
        )


def _environment() -> dict[str, str]:
    """What the duplicity process gets to see of the environment: nothing that could be a secret."""
    kept = {name: os.environ[name] for name in ("PATH", "TZ", "HOME") if name in os.environ}
    # Without UTF-8, Python cannot name every file; with it, odd octets pass through unharmed.
    return kept | {"LC_ALL": "C.UTF-8", "PYTHONUTF8": "1"}


@contextmanager
def _stopped_with_us() -> Iterator[None]:
    """A SIGTERM to us ends the run as Ctrl-C does, so that the duplicity process ends, too."""

    def interrupt(_signal: int, _frame: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
