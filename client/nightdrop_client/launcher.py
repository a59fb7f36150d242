"""The duplicity process: duplicity's own program, with our backend, our stand-in and an observer.

Runs as `python -m nightdrop_client.launcher JOB DESCRIPTOR`. duplicity does everything that it does
from a shell; what is ours is where files go, who seals them, and that somebody watches.
"""

import logging
import os
import sys
import time
from pathlib import Path

import duplicity.backend
from duplicity import config, diffdir, log
from duplicity.__main__ import dup_run

from nightdrop.enrolment import load_bundle
from nightdrop_client import backend
from nightdrop_client.droplog import DropLog, FinishedSet
from nightdrop_client.events import Event, EventWriter
from nightdrop_client.job import Job, read_job
from nightdrop_client.mirrors import Mirrors
from nightdrop_client.observer import Observer
from nightdrop_client.state import State

_UNREAD = {
    log.WarningCode.cannot_iterate,
    log.WarningCode.cannot_stat,
    log.WarningCode.cannot_read,
    log.WarningCode.cannot_process,
}


class _Messages(logging.Handler):
    """Passes on what duplicity says, and counts the source files that it could not read."""

    def __init__(self, events: EventWriter) -> None:
        super().__init__()
        self._events = events
        self.unread = 0

    def emit(self, record: logging.LogRecord) -> None:
        code = int(getattr(record, "controlLine", "0").split(" ")[0])
        error = getattr(record, "levelName", "") == "ERROR"
        if not error:
            self.unread += code in _UNREAD
        self._events.tell(Event("error" if error else "warning", record.getMessage(), code=code))


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
    dropper = backend.Dropper(mirrors, drop_log, lambda name: events.tell(Event("dropped", name)))
    observer = Observer(lambda files, octets: events.tell(Event("scanned", files=files, octets=octets)))
    observer.install()
    messages = _Messages(events)
    logging.getLogger("duplicity").addHandler(messages)
    # One backend is used, and importing the other forty takes longer than a small backup.
    duplicity.backend.import_backends = lambda: backend.register(dropper, drop_log)
    # duplicity asks its gpg for a version before it has read which one to use.
    config.gpg_binary = job.arguments[job.arguments.index("--gpg-binary") + 1]
    # duplicity looks itself up by this, and it has to be a program that is there.
    sys.argv = [sys.executable, *job.arguments]
    try:
        dup_run()
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
    os.umask(0o077)
    main()
