"""One run: clear, plan, let duplicity make a set, settle it, and say how it went."""

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

from nightdrop.engine.events import Event
from nightdrop.engine.process import Engine
from nightdrop.envelope.recipients import Recipient
from nightdrop.errors import ConfigurationError, NightdropError
from nightdrop.names import SetType, format_time
from nightdrop.progress import ProgressLine
from nightdrop.text import count, harmless
from nightdrop_client.configuration import Client
from nightdrop_client.droplog import DropLog, FinishedSet
from nightdrop_client.duplicity_arguments import backup_arguments
from nightdrop_client.gpgsm import settings, write_gpgsm
from nightdrop_client.job import Job
from nightdrop_client.lastrun import recorded
from nightdrop_client.leftovers import clear
from nightdrop_client.limits import yield_to_others
from nightdrop_client.mirrors import GREETING, Mirrors
from nightdrop_client.planning import Plan, plan
from nightdrop_client.progress import Expected, RunProgress
from nightdrop_client.retiring import retire_old_chains
from nightdrop_client.rotation import forget_recipients, keep_recipients, recipients_of
from nightdrop_client.settling import settle
from nightdrop_client.sources.preparing import Prepared, prepared
from nightdrop_client.sources.secrets import with_passwords
from nightdrop_client.state import SkippedError, State

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
        """Whether every mirror has the set, every source is whole in it, and nothing else went wrong."""
        done = self.done
        return not (self.lacking or self.failures or done.unread or done.failed or self.problems)

    def complaints(self) -> list[str]:
        """What is missing where, and what else went wrong: a line each."""
        lines = []
        if self.done.unread:
            lines.append(
                f"not in this backup: {count(self.done.unread, 'source file')} could not be read"
            )
        lines += [
            f"not whole in this backup: {place}: {harmless(why, 500)}"
            for place, why in sorted(self.done.failed.items())
        ]
        lines += [f"warning: {problem}" for problem in self.problems]
        for mirror in self.lacking:
            why = self.failures.get(mirror, "it missed a part of it")
            lines.append(f"the mirror {mirror} does not have this set: {why}")
        return lines


def run_backup(client: Client, full_wanted: bool, say: Say, *, any_time: bool = False) -> Outcome:
    """Make one set, outside the configured window, too, if `any_time` is true.

    Raises NightdropError if there is none in the end; then nothing older is lost. Raises SkippedError
    if a run of this job is under way, or this is not the time for one.
    """
    if not any_time and not client.limits.may_begin(time.time()):
        raise SkippedError(
            f"backups begin only in {client.limits.window}, says {client.path}",
            "`--any-time` begins all the same",
        )
    os.umask(0o077)
    state = State(client.state)
    state.prepare()
    lock = state.lock()
    try:
        with recorded(state.last_run) as record, client.hooks.on_failure(_facts(client)):
            problems = yield_to_others(client.limits)
            outcome = _run_locked(client, state, lock, full_wanted, say)
            outcome.notes += problems
            record.everywhere, record.lines = outcome.everywhere, tuple(outcome.complaints())
            return outcome
    finally:
        os.close(lock)


def _require_own_log(client: Client, log: DropLog, state: State) -> None:
    """Refuse the state of another host: what is dropped in its folder cannot be built on in ours."""
    if (owner := log.owner(client.bundle.host)) != client.bundle.host:
        raise ConfigurationError(
            f"{client.path}: the state {state.root} is that of the host {owner}, and the bundle's is "
            f"{client.bundle.host}",
            "give each job a `state` of its own; if the host was renamed, move the old state away: the "
            "next run is a full then",
        )


def _facts(client: Client) -> dict[str, str]:
    """What hooks are told, as environment variables."""
    return {"NIGHTDROP_HOST": client.bundle.host, "NIGHTDROP_CONFIG": str(client.path)}


def _run_locked(client: Client, state: State, lock: int, full_wanted: bool, say: Say) -> Outcome:
    begun = time.monotonic()
    log = DropLog(state.drop_log)
    _require_own_log(client, log, state)
    for key, why in clear(state, log, time.time()).items():
        say(f"nothing new will build on {key.stem}: {why}")
    bundle, no_password = with_passwords(client.bundle)
    client = replace(client, bundle=bundle)
    names = [mirror.name for mirror in client.bundle.mirrors]
    patience = client.limits.patience(client.patience, time.time())
    # What is sent from here is small; volumes go from the duplicity process, with all of `grace`.
    limits = replace(client.limits, grace=min(client.limits.grace, GREETING))
    mirrors = Mirrors(client.bundle.host, client.bundle.mirrors, limits, patience)
    mirrors.bury(no_password)
    try:
        mirrors.greet()
        for name, why in mirrors.failures.items():
            say(f"the mirror {name} is away: {why}")
        settle(client, state, log, mirrors)
        chosen = plan(log, names, client.full_every, time.time(), full_wanted)
        say(f"making {'a full' if chosen.type == 'full' else 'an incremental'}: {chosen.reason}")
        moment = log.take_time()
        recipients = _recipients(client, state, log, chosen, moment)
        if {one.fingerprint for one in recipients} != {one.fingerprint for one in client.recipients}:
            say("sealed to the last full's recipients; the new ones take effect with the next full")
        with (
            client.hooks.around(_facts(client) | {"NIGHTDROP_TYPE": chosen.type}) as problems,
            prepared(client.sources, state, bundle, problems) as sources,
        ):
            sealing = replace(client, recipients=recipients)
            job = prepare_job(sealing, state, chosen.type, moment, dead=mirrors.failures, sources=sources)
            expected = _expected(log, chosen.type)
            keep_open = [lock, sources.secrets]
            stem, volumes, warnings = _run_duplicity(
                state, job, keep_open, mirrors, expected=expected, say=say
            )
        done = next(done for done in log.sets() if done.key.stem == stem)
        lacking = settle(client, state, log, mirrors)[done.key.stem]
        retire_old_chains(state, log, mirrors.living)
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


def _recipients(
    client: Client, state: State, log: DropLog, chosen: Plan, moment: int
) -> tuple[Recipient, ...]:
    """Whom the set that is made now is sealed to."""
    keys = [done.key for done in log.sets()]
    if chosen.type == "full":
        forget_recipients(state, keys)
        keep_recipients(client, state, format_time(datetime.fromtimestamp(moment, UTC)))
        return tuple(client.recipients)
    return recipients_of(client, state, keys[-1], keys)


def prepare_job(
    client: Client,
    state: State,
    set_type: SetType,
    moment: int,
    *,
    dead: dict[str, str],
    sources: Prepared,
) -> Path:
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
        patience=client.limits.patience(client.patience, time.time()),
        dead=dead,
        limits=client.limits.as_json(),
        sources=sources.ready.as_json(),
        secrets=sources.secrets,
    ).write(path)
    return path


def _expected(log: DropLog, set_type: SetType) -> Expected:
    """A full is as far as what it has stored; an incremental stores little, but looks at everything."""
    before = [done for done in log.sets(retired_too=True) if done.key.type == set_type]
    if set_type == "full" and before:
        return Expected(stored=sum(file.size for file in log.files(before[-1].key).values()))
    return Expected(looked_at=max((done.size for done in log.sets()[-1:]), default=0))


def _run_duplicity(
    state: State, job: Path, keep_open: Sequence[int], mirrors: Mirrors, *, expected: Expected, say: Say
) -> tuple[str, int, list[str]]:
    """Let duplicity make its set: the set's stem, how many volumes it has, and what it warned of. It
    inherits the descriptors `keep_open`.

    Raises NightdropError if there is no finished set in the end.
    """
    engine = Engine(state.duplicity_log)
    lost: dict[str, str] = {}
    finished = ""
    with ProgressLine() as line:
        progress = RunProgress(line, mirrors.living, expected, say)

        def hear(event: Event) -> None:
            nonlocal finished
            progress.see(event)
            if event.kind == "lost":
                lost[event.mirror] = event.text
            elif event.kind == "finished":
                finished = event.text

        engine.run("nightdrop_client.launcher", [str(job)], hear, keep_open=keep_open)
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
