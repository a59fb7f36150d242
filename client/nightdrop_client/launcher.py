"""The client's duplicity process: duplicity's own program, dropping through our backend, observed.

Runs as `python -m nightdrop_client.launcher JOB DESCRIPTOR`. duplicity does everything that it does
from a shell; what is ours is where files go, who seals them, and that somebody watches.
"""

import sys
import time
from pathlib import Path

from duplicity import diffdir

from nightdrop.engine.events import Event, EventWriter
from nightdrop.engine.inside import is_pinned, run_duplicity
from nightdrop.enrolment import load_bundle
from nightdrop_client import backend
from nightdrop_client.droplog import DropLog, FinishedSet
from nightdrop_client.job import Job, read_job
from nightdrop_client.mirrors import Mirrors
from nightdrop_client.observer import Observer
from nightdrop_client.state import State


def main() -> None:
    """Run duplicity as the job says; leaves with duplicity's exit status."""
    job, events = read_job(Path(sys.argv[1])), EventWriter(int(sys.argv[2]))
    state = State(Path(job.state))
    bundle = load_bundle(Path(job.bundle))
    drop_log = DropLog(state.drop_log)
    mirrors = Mirrors(
        bundle.host,
        bundle.mirrors,
        state.scratch,
        job.patience,
        on_bytes=lambda mirror, octets: events.tell(Event("sent", mirror=mirror, octets=octets)),
    )
    mirrors.bury(job.dead)
    dropper = backend.Dropper(
        mirrors, drop_log, state.scratch, lambda name: events.tell(Event("dropped", name))
    )
    observer = Observer(lambda files, octets: events.tell(Event("scanned", files=files, octets=octets)))
    observer.install()
    if is_pinned():
        from nightdrop_client import substitutions

        substitutions.install(job.sealing)
    try:
        messages = run_duplicity(job.arguments, events, lambda: backend.register(dropper, drop_log))
        done = _finished(job, dropper, observer, max(messages.unread, diffdir.stats.Errors or 0))
        # The one moment from which others may build on this set.
        drop_log.finish(done)
        events.tell(Event("finished", done.key.stem))
    finally:
        for mirror, failure in mirrors.failures.items():
            events.tell(Event("lost", failure, mirror))


def _finished(job: Job, dropper: backend.Dropper, observer: Observer, unread: int) -> FinishedSet:
    (key,) = dropper.keys
    supplement = observer.supplement()
    return FinishedSet(
        key,
        job.started,
        time.time(),
        observer.octets,
        observer.files,
        unread,
        supplement.to_bytes() if supplement else b"",
    )


if __name__ == "__main__":
    main()
