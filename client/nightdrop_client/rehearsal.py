"""The duplicity process of a dry run: looks at everything as a backup would, and sends and keeps nothing.

Runs as `python -m nightdrop_client.rehearsal DESCRIPTOR`, with a state that is a copy. duplicity goes
by names, sizes and times then, and reads no file.
"""

import sys
from pathlib import Path

from duplicity import statistics
from duplicity.path import Path as DuplicityPath

from nightdrop.engine.events import Event, EventWriter
from nightdrop.engine.inside import leave, run_duplicity
from nightdrop_client import backend
from nightdrop_client.droplog import DropLog
from nightdrop_client.job import read_job
from nightdrop_client.observer import Observer
from nightdrop_client.state import State


def main() -> None:
    """Run duplicity as the job says; leaves with duplicity's exit status."""
    job, events = read_job(), EventWriter(int(sys.argv[1]))
    log = DropLog(State(Path(job.state)).drop_log)
    observer = Observer(lambda files, octets: events.tell(Event("scanned", files=files, octets=octets)))
    observer.install()
    changes = _Changes()
    changes.install()
    set_type, *arguments = job.arguments
    run_duplicity([set_type, "--dry-run", *arguments], events, lambda: backend.register(None, log))
    events.tell(Event("scanned", files=observer.files, octets=observer.octets))
    events.tell(Event("changed", files=changes.files, octets=changes.octets))


class _Changes:
    """Counts what duplicity finds new, changed or gone: files, and the octets in those that are there.
    duplicity's own statistics count folders, too, with the sizes of their lists of names.
    """

    def __init__(self) -> None:
        self.files = 0
        self.octets = 0

    def install(self) -> None:
        """Be told of each."""

        def see(_stats: object, path: DuplicityPath, _kind: bytes) -> None:
            self.files += path.type != "dir"
            self.octets += path.getsize() if path.isreg() else 0

        statistics.StatsDeltaProcess.add_delta_entries_file = see


if __name__ == "__main__":
    main()
    leave()
