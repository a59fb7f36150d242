"""The client's duplicity process: duplicity's own program, dropping through our backend, observed.

Runs as `python -m nightdrop_client.launcher DESCRIPTOR`, and is told its job on standard input. duplicity
does everything that it does from a shell; what is ours is where files go, who seals them, and that
somebody watches.
"""

import sys
import time
from pathlib import Path

from duplicity import diffdir

from nightdrop.engine.events import Event, EventWriter
from nightdrop.engine.inside import is_pinned, leave, run_duplicity
from nightdrop.enrolment import BundleMirror
from nightdrop_client import backend
from nightdrop_client.droplog import DropLog, FinishedSet
from nightdrop_client.job import Job, read_job
from nightdrop_client.leftovers import keep_metadata
from nightdrop_client.limits import read_limits
from nightdrop_client.mirrors import Mirrors
from nightdrop_client.observer import Observer
from nightdrop_client.sources.ready import Ready, read_ready
from nightdrop_client.sources.secrets import StreamSecrets
from nightdrop_client.sources.virtual import Virtual
from nightdrop_client.state import State


def main() -> None:
    """Run duplicity as the job says; leaves with duplicity's exit status."""
    if pinned := is_pinned():
        from nightdrop_client import substitutions
    job, events = read_job(), EventWriter(int(sys.argv[1]))
    state = State(Path(job.state))
    secrets = {place: StreamSecrets(**one) for place, one in job.secrets.items()}
    ready = read_ready(job.sources)
    outside = _shown(ready, job.state)
    virtual = Virtual(ready, secrets, int(job.started), state.scratch, outside)
    drop_log = DropLog(state.drop_log)
    mirrors = Mirrors(
        job.host,
        tuple(BundleMirror(**one) for one in job.mirrors),
        read_limits(job.limits),
        job.patience,
        on_bytes=lambda mirror, octets: events.tell(Event("sent", mirror=mirror, octets=octets)),
        on_state=lambda mirror, why: events.tell(Event("waiting", why, mirror=mirror)),
    )
    mirrors.bury(job.dead)
    dropper = backend.Dropper(
        mirrors, drop_log, state.scratch, lambda name: events.tell(Event("dropped", name))
    )
    observer = Observer(lambda files, octets: events.tell(Event("scanned", files=files, octets=octets)))
    observer.install(virtual.among)
    if pinned:
        substitutions.install(job.sealing)
    try:
        messages = run_duplicity(job.arguments, events, lambda: backend.register(dropper, drop_log))
        unread = max(messages.unread, diffdir.stats.Errors or 0)
        done = _finished(job, dropper, observer, virtual, unread)
        for note in virtual.notes:
            events.tell(Event("warning", note))
        # The one moment from which others may build on this set.
        drop_log.finish(done, keep_metadata(state, done.key))
        events.tell(Event("finished", done.key.stem))
    finally:
        for mirror, failure in mirrors.failures.items():
            events.tell(Event("lost", failure, mirror=mirror))


def _shown(ready: Ready, state: str) -> list[str]:
    """Have folders read from their snapshots, or as they are if that cannot be; see `show`."""
    if not ready.views:
        return []
    from nightdrop_client.sources.views import show

    try:
        return show(ready.views, state)
    except OSError as error:
        why = f"it was read as it is: its snapshot cannot be shown in its place: {error.strerror}"
        ready.failed.update({view.folder: why for view in ready.views})
        return []


def _finished(
    job: Job, dropper: backend.Dropper, observer: Observer, virtual: Virtual, unread: int
) -> FinishedSet:
    (key,) = dropper.keys
    supplement = observer.supplement()
    return FinishedSet(
        key,
        job.started,
        time.time(),
        observer.octets + virtual.octets,
        observer.files,
        unread,
        supplement.to_bytes() if supplement else b"",
        virtual.failed,
    )


if __name__ == "__main__":
    main()
    leave()
