"""`nightdrop backup --dry-run`: what a run would do now; no mirror, hook or state notices."""

import sqlite3
import tempfile
import time
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

from nightdrop.engine.events import Event
from nightdrop.engine.process import Engine
from nightdrop.interrupts import temporary_folder
from nightdrop.progress import ProgressLine
from nightdrop_client.configuration import Client
from nightdrop_client.droplog import DropLog
from nightdrop_client.duplicity_arguments import literal
from nightdrop_client.job import Job
from nightdrop_client.leftovers import clear
from nightdrop_client.making import prepare_job
from nightdrop_client.planning import Plan, plan
from nightdrop_client.progress import Expected, RunProgress
from nightdrop_client.sources.preparing import Prepared
from nightdrop_client.state import State


@dataclass(frozen=True)
class Rehearsal:
    """What would be done. `files` and `size` are the source's; `changed` and `changed_size` those of its
    files that are new, changed or gone; `stored` how much at most would go to each mirror, going by the
    last full, None if there is none yet. Sizes are in octets. `forgotten` says which sets would not be
    built on, and why. `not_counted` are the places of sources that are in none of the numbers: commands,
    volumes, folders on other machines.
    """

    plan: Plan
    files: int
    size: int
    changed: int
    changed_size: int
    stored: int | None
    forgotten: dict[str, str]
    not_counted: tuple[str, ...]


def rehearse(client: Client, full_wanted: bool) -> Rehearsal:
    """Find out. Raises NightdropError where a run could not even be begun."""
    with temporary_folder("nightdrop-dry-run-", Path(tempfile.gettempdir())) as folder:
        state = State(folder)
        state.prepare()
        _copy(State(client.state), state)
        log = DropLog(state.drop_log)
        with closing(log):
            forgotten = clear(state, log, time.time())
            names = [mirror.name for mirror in client.bundle.mirrors]
            chosen = plan(log, names, client.full_every, time.time(), full_wanted)
            # The state that stays out of a backup is the real one.
            exclude = (literal(str(client.state)), *client.exclude)
            # It sends nothing, so it gets no passwords.
            bundle = replace(client.bundle, mirrors=())
            job = prepare_job(
                replace(client, exclude=exclude, bundle=bundle),
                state,
                chosen.type,
                int(time.time()),
                dead={},
                sources=Prepared(),
            )
            seen = _run_duplicity(state, job)
            ratio = _ratio(log)
        scanned, changed = seen["scanned"], seen["changed"]
        return Rehearsal(
            chosen,
            scanned.files,
            scanned.octets,
            changed.files,
            changed.octets,
            None if ratio is None else round(changed.octets * ratio),
            {key.stem: why for key, why in forgotten.items()},
            client.sources.places,
        )


def _copy(real: State, copy: State) -> None:
    """The drop log as it is now, and links to duplicity's metadata, which may be large."""
    if not real.drop_log.exists():
        return
    with (
        closing(sqlite3.connect(f"{real.drop_log.as_uri()}?mode=ro", uri=True)) as log,
        closing(sqlite3.connect(copy.drop_log)) as target,
    ):
        log.backup(target)
    for entry in real.archive.iterdir():
        if entry.is_file():
            (copy.archive / entry.name).symlink_to(entry)
    copy.recipients.symlink_to(real.recipients)


def _run_duplicity(state: State, job: Job) -> dict[str, Event]:
    engine = Engine(state.duplicity_log)
    seen: dict[str, Event] = {}
    with ProgressLine() as line:
        progress = RunProgress(line, [], Expected(), lambda _line: None)

        def hear(event: Event) -> None:
            seen[event.kind] = event
            progress.see(event)

        with engine.started("nightdrop_client.rehearsal"):
            engine.proceed(job.to_bytes(), hear)
    if "changed" not in seen:
        raise engine.failure("the dry run came to no end")
    return seen


def _ratio(log: DropLog) -> float | None:
    """How much of what the last full read was stored."""
    fulls = [done for done in log.sets() if done.key.type == "full" and done.size]
    if not fulls:
        return None
    return sum(file.size for file in log.files(fulls[-1].key).values()) / fulls[-1].size
