"""`nightdrop restore drill`."""

import argparse
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from nightdrop.errors import ExitStatus, NightdropError, UsageError
from nightdrop.text import format_duration, format_size, harmless

if TYPE_CHECKING:
    from nightdrop.drills import Drill
    from nightdrop_restore.drilling import Drilled

DESCRIPTION = """
Restore a few files of every host, chosen by chance, to a temporary folder, and compare them with what
duplicity noted down of them on the host; sets of other kinds are opened to the end. What was restored is
deleted again. The exit status is 3 if anything was not what had been backed up.

--record writes how it went as a small file without names of files. Put it into the folder `drills` of
the mirror's state (such as /var/lib/nightdrop/mirror/drills), and the check tells of it, and asks for
the next drill when it is time.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    from nightdrop_restore.keys.reading import add_key_arguments
    from nightdrop_restore.vaults.addresses import add_hosts_argument, add_vault_arguments

    add_vault_arguments(parser)
    add_hosts_argument(parser)
    add_key_arguments(parser)
    parser.add_argument(
        "--sample", metavar="N", type=int, default=12, help="how many files of each host (default: 12)"
    )
    parser.add_argument(
        "--record", metavar="DIR", type=Path, help="write the record into this folder, named by its date"
    )
    parser.add_argument(
        "--work",
        metavar="DIR",
        type=Path,
        default=Path(tempfile.gettempdir()),
        help="where to restore to",
    )
    parser.add_argument("--json", action="store_true", help="print the record")


def run(arguments: argparse.Namespace) -> ExitStatus:
    """Drill."""
    from nightdrop.drills import Drill
    from nightdrop.files import whole_file
    from nightdrop.progress import ProgressLine
    from nightdrop_restore.drilling import drill
    from nightdrop_restore.keys.reading import ask_passphrase, load_key
    from nightdrop_restore.vaults.addresses import places_of
    from nightdrop_restore.vaults.catalog import hosts_of
    from nightdrop_restore.writing.destination import require_writable
    from nightdrop_restore.writing.workplaces import tell_leftovers

    if arguments.sample < 1:
        raise UsageError("--sample needs a number of files, at least 1", "12 is the default")
    for folder in filter(None, (arguments.record, arguments.work)):
        require_writable(folder)
    tell_leftovers(arguments.work)
    places = places_of(arguments, arguments.vaults)
    hosts = hosts_of(places, arguments.hosts)
    key = load_key(arguments.key, ask_passphrase(arguments.key, arguments))
    at = time.time()
    with ProgressLine() as line:

        def shown() -> Iterator[str]:
            for number, host in enumerate(hosts, 1):
                line.show(f"drilling {harmless(host)}, {number} of {len(hosts)}")
                yield host

        drilled = list(drill(places, shown(), key, arguments.sample, folder=arguments.work))
    record = Drill(at, tuple(one.record for one in drilled))
    if not record.hosts:
        raise NightdropError("there is nothing to drill: no host has a set")
    if arguments.record:
        with whole_file(arguments.record / record.name, replace=False) as file:
            file.write(record.to_bytes())
    if arguments.json:
        print(record.to_bytes().decode(), end="")
    else:
        _tell(drilled, record)
        if arguments.record:
            print(
                f"the record: {arguments.record / record.name} (goes into the mirror's folder `drills`)"
            )
    return ExitStatus.DONE if record.passed else ExitStatus.PARTIAL


def _tell(drilled: "Sequence[Drilled]", record: "Drill") -> None:
    for one in drilled:
        told = one.record
        print(
            f"{told.host}: {told.good} of {told.files}, {format_size(told.size)} in "
            f"{format_duration(told.seconds)} ({told.set or 'nothing to restore'})"
        )
        for problem in one.problems:
            print(f"  {harmless(problem, 1000)}")
    print(
        f"{'passed' if record.passed else 'NOT PASSED'}: {record.good} of {record.files}, "
        f"{format_size(record.size)} in {format_duration(record.seconds)}"
    )
