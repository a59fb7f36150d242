"""`nightdrop restore run`."""

import argparse
from pathlib import Path

from nightdrop.errors import ExitStatus
from nightdrop.text import count, format_duration, format_size, harmless

DESCRIPTION = """
Restore a host's files as of a time into a new folder: contents, types, modes, owners (as root), times,
symbolic and hard links. Nothing that exists is ever overwritten.
"""

_SHOWN = 20


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    from nightdrop_restore.selecting import add_origin_arguments

    add_origin_arguments(parser)
    parser.add_argument(
        "--to", metavar="DIR", type=Path, required=True, help="where to; must be empty or not there"
    )
    parser.add_argument("--path", metavar="PATH", default="", help="only this file or folder")
    parser.add_argument(
        "--numeric-owner", action="store_true", help="owners by number, not by the names they had"
    )


def run(arguments: argparse.Namespace) -> ExitStatus:
    """Restore."""
    from nightdrop.progress import ProgressLine
    from nightdrop_restore.restoring import restore
    from nightdrop_restore.selecting import origin_of

    origin = origin_of(arguments)
    whole = sum(one.size for one in origin.chain)
    fetched = 0
    print(f"restoring {arguments.host} as of {origin.chain[-1].key.end} into {arguments.to}", flush=True)
    with ProgressLine() as line:

        def on_fetch(octets: int) -> None:
            nonlocal fetched
            fetched += octets
            line.show(f"read {format_size(fetched)} of {format_size(whole)} from the vault")

        done = restore(origin, arguments.to, arguments.path, arguments.numeric_owner, on_fetch)
    sets = count(len(origin.chain), "set")
    print(f"done: {format_size(fetched)} from {sets} in {format_duration(done.seconds)}")
    troubles = [*done.warnings, *(f"no hard link or hole: {path!r}" for path in done.unlike)]
    for trouble in troubles[:_SHOWN]:
        print(f"warning: {harmless(trouble)}")
    if len(troubles) > _SHOWN:
        print(f"warning: and {len(troubles) - _SHOWN} more")
    return ExitStatus.PARTIAL if troubles else ExitStatus.DONE
