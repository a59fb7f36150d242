"""One run: clear, plan, let duplicity make a set, settle it, and say how it went."""

import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from nightdrop.engine.events import Event
from nightdrop.engine.process import Engine
from nightdrop.errors import NightdropError
from nightdrop.names import SetType
from nightdrop.progress import ProgressLine
from nightdrop_client.configuration import Client
from nightdrop_client.droplog import DropLog, FinishedSet
from nightdrop_client.duplicity_arguments import backup_arguments
from nightdrop_client.gpgsm import settings, write_gpgsm
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
    set's receipt; `stored` the octets of the set on a mirror; `notes` what duplicity warned of, and
    `problems` what else went wrong without costing anything of the set.
    """

    plan: Plan
    done: FinishedSet
    stored: int
    volumes: int
    seconds: float
    failures: dict[str, str]
    lacking: list[str]
    notes: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    @property
    def everywhere(self) -> bool:
        """Whether every mirror has the set, every source file is in it, and nothing else went wrong."""
        return not (self.lacking or self.failures or self.done.unread or self.problems)


def run_backup(client: Client, full_wanted: bool, say: Say) -> Outcome:
    """Make one set. Raises NightdropError if there is none in the end; then nothing older is lost."""
    os.umask(0o077)
    state = State(client.state)
    state.prepare()
    lock = state.lock()
    try:
        with client.hooks.on_failure(_facts(client)):
            return _run_locked(client, state, lock, full_wanted, say)
    finally:
        os.close(lock)


def _facts(client: Client) -> dict[str, str]:
    """What hooks are told, as environment variables."""
    return {"NIGHTDROP_HOST": client.bundle.host, "NIGHTDROP_CONFIG": str(client.path)}


def _run_locked(client: Client, state: State, lock: int, full_wanted: bool, say: Say) -> Outcome:
    begun = time.monotonic()
    log = DropLog(state.drop_log)
    for key, why in clear(state, log, time.time()).items():
        say(f"nothing new will build on {key.stem}: {why}")
    names = [mirror.name for mirror in client.bundle.mirrors]
    mirrors = Mirrors(client.bundle.host, client.bundle.mirrors, state.scratch, client.patience)
    try:
        mirrors.greet()
        for name, why in mirrors.failures.items():
            say(f"the mirror {name} is away: {why}")
        settle(client, state, log, mirrors)
        chosen = plan(log, names, client.full_every, time.time(), full_wanted)
        say(f"making {'a full' if chosen.type == 'full' else 'an incremental'}: {chosen.reason}")
        with client.hooks.around(_facts(client) | {"NIGHTDROP_TYPE": chosen.type}) as problems:
            job = _job(client, state, chosen.type, log.take_time(), mirrors.failures)
            stem, volumes, warnings = _run_duplicity(state, job, lock, mirrors)
        done = next(done for done in log.sets() if done.key.stem == stem)
        lacking = settle(client, state, log, mirrors)[done.key.stem]
        return Outcome(
            chosen,
            done,
            sum(file.size for file in log.files(done.key).values()),
            volumes,
            time.monotonic() - begun,
            mirrors.failures,
            lacking,
            warnings,
            problems,
        )
    finally:
        mirrors.close()
        log.close()


def _job(client: Client, state: State, set_type: SetType, moment: int, dead: dict[str, str]) -> Path:
    """Lay out what the duplicity process needs; the path of its job."""
    recipients = state.scratch / "recipients.pem"
    recipients.write_text("".join(recipient.pem for recipient in client.recipients))
    stand_in = state.scratch / "gpgsm"
    sealing = settings(recipients, client.cipher, client.compress, client.volume_size)
    write_gpgsm(stand_in, sealing)
    path = state.scratch / "job.json"
    Job(
        arguments=backup_arguments(client, state, set_type, moment, stand_in),
        sealing=sealing,
        bundle=str(client.bundle_path),
        state=str(state.root),
        started=moment,
        patience=client.patience,
        dead=dead,
    ).write(path)
    return path


def _run_duplicity(state: State, job: Path, lock: int, mirrors: Mirrors) -> tuple[str, int, list[str]]:
    """Let duplicity make its set: the set's stem, how many volumes it has, and what it warned of.

    Raises NightdropError if there is no finished set in the end.
    """
    engine = Engine(state.duplicity_log)
    lost: dict[str, str] = {}
    finished = ""
    with ProgressLine() as line:
        progress = RunProgress(line, mirrors.living)

        def hear(event: Event) -> None:
            nonlocal finished
            progress.see(event)
            if event.kind == "lost":
                lost[event.mirror] = event.text
            elif event.kind == "finished":
                finished = event.text

        engine.run("nightdrop_client.launcher", [str(job)], hear, keep_open=[lock])
    mirrors.bury(lost)
    if not finished:
        if not mirrors.living:
            reasons = "; ".join(f"{name}: {why}" for name, why in mirrors.failures.items())
            raise NightdropError(
                f"every mirror was lost in the middle of the backup ({reasons})",
                "what was dropped is no complete set; the next run makes a new one",
            )
        raise engine.failure("no backup was made")
    return finished, progress.volumes, engine.warnings
