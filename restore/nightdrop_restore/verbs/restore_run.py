"""`nightdrop restore run`."""

import argparse
from pathlib import Path

from nightdrop.errors import ExitStatus
from nightdrop.text import count, format_duration, format_size, harmless

DESCRIPTION = """
Restore a host's files as of a time into a new folder: contents, types, modes, owners (as root), times,
symbolic and hard links. Nothing that exists is ever overwritten.

A damaged or missing volume costs the files in it; they are listed at the end, and the exit status is 3.
With several VAULTs, what one lacks or has damaged is taken from the next, file by file.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    from nightdrop_restore.selecting import add_origin_arguments

    add_origin_arguments(parser)
    parser.add_argument(
        "--to", metavar="DIR", type=Path, required=True, help="where to; must be empty or not there"
    )
    parser.add_argument(
        "--strip",
        metavar="N",
        type=int,
        help="leave off the first N parts of each path; with a single --path all of it is, unless said",
    )
    parser.add_argument(
        "--numeric-owner", action="store_true", help="owners by number, not by the names they had"
    )


def run(arguments: argparse.Namespace) -> ExitStatus:
    """Restore."""
    from nightdrop.progress import ProgressLine
    from nightdrop_restore.choosing import choice_of
    from nightdrop_restore.restoring import restore
    from nightdrop_restore.selecting import origin_of

    choice = choice_of(arguments.paths, arguments.find, arguments.strip)
    origin = origin_of(arguments)
    expected = sum(one.size for one in origin.chain)
    fetched = 0
    for one in origin.passed_over:
        if one.unfinished:
            print(f"note: the set of {one.key.end} was not finished")
        else:
            why = one.problem or "a set before it is not there"
            print(f"warning: the set of {one.key.end} cannot be restored: {harmless(why)}")
    print(f"restoring {arguments.host} as of {origin.chain[-1].key.end} into {arguments.to}", flush=True)
    with ProgressLine() as line:

        def on_fetch(octets: int) -> None:
            nonlocal fetched
            fetched += octets
            line.show(f"read {format_size(fetched)} of {format_size(expected)} from the vault")

        done = restore(origin, arguments.to, choice, arguments.numeric_owner, on_fetch)
    sets = count(len(origin.chain), "set")
    print(f"done: {format_size(fetched)} from {sets} in {format_duration(done.seconds)}")
    for text in done.elsewhere:
        print(f"note: {harmless(text, 1000)}")
    for trouble in [*done.warnings, *(f"no hard link or hole: {path!r}" for path in done.unlike)]:
        print(f"warning: {harmless(trouble, 1000)}")
    if done.unrestored:
        print(f"not restored: {count(len(done.unrestored), 'file')}")
        for reason in dict.fromkeys(done.unrestored.values()):
            print(f"  because of {harmless(reason, 1000)}:")
            for path in sorted(path for path, why in done.unrestored.items() if why == reason):
                print(f"    {harmless(path, 5000)}")
    older = not all(one.unfinished for one in origin.passed_over)
    partial = done.warnings or done.unlike or done.unrestored or older
    return ExitStatus.PARTIAL if partial else ExitStatus.DONE
