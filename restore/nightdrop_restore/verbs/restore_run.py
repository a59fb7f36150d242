"""`nightdrop restore run`."""

import argparse
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from nightdrop.errors import ExitStatus, UsageError
from nightdrop.text import harmless

if TYPE_CHECKING:
    from nightdrop_restore.origin import Origin

DESCRIPTION = """
Restore a host's files as of a time into a folder: contents, types, modes, owners (as root), times,
symbolic and hard links. Into a folder that is not empty only with --overwrite: nothing is ever
overwritten unasked. Device nodes, and the bits that let a program run with its owner's rights, need to
be asked for, too. A restore that was cut off by a kill is run again with --overwrite: what it
had not finished, it then finishes, whatever that says.

A file that cannot be written costs nothing else; nor does a damaged or missing volume, but for the files
in it. What was not restored is listed at the end, and the exit status is 3. With several VAULTs, what
one lacks or has damaged is taken from the next, file by file.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    from nightdrop_restore.selecting import add_origin_arguments
    from nightdrop_restore.vaults.signers import add_signer_argument

    add_origin_arguments(parser)
    add_signer_argument(parser)
    parser.add_argument("--to", metavar="DIR", type=Path, required=True, help="where to")
    parser.add_argument(
        "--strip",
        metavar="N",
        type=int,
        help="leave off the first N parts of each path; with a single --path all of it is, unless said",
    )
    parser.add_argument(
        "--overwrite",
        choices=("ask", "never", "always"),
        help="DIR may have something in it already, and this happens to files of the same names",
    )
    whose = parser.add_mutually_exclusive_group()
    whose.add_argument(
        "--numeric-owner", action="store_true", help="owners by number, not by the names they had"
    )
    whose.add_argument(
        "--map-owner",
        metavar="FILE",
        type=Path,
        help="a file with lines `user OLD NEW` and `group OLD NEW`, names or numbers",
    )
    parser.add_argument("--devices", action="store_true", help="make device nodes, too")
    parser.add_argument("--setuid", action="store_true", help="keep setuid and setgid bits of files")
    parser.add_argument("--json", action="store_true", help="print one JSON object at the end")


def run(arguments: argparse.Namespace) -> ExitStatus:
    """Restore."""
    from nightdrop.progress import ProgressLine
    from nightdrop_restore.choosing import choice_of
    from nightdrop_restore.owners import Owners, load_owners
    from nightdrop_restore.progressing import RestoreProgress
    from nightdrop_restore.reporting import is_partial, json_lines, lines
    from nightdrop_restore.restoring import Writing, restore
    from nightdrop_restore.selecting import origin_of
    from nightdrop_restore.vaults.signers import signers_of
    from nightdrop_restore.writing.destination import require_destination
    from nightdrop_restore.writing.workplaces import tell_leftovers, where_to_work
    from nightdrop_restore.writing.writer import Policy

    choice = choice_of(arguments.paths, arguments.find, arguments.strip)
    policy = Policy(arguments.overwrite, arguments.devices, arguments.setuid)
    owners = load_owners(arguments.map_owner) if arguments.map_owner else Owners()
    if policy.overwrite == "ask" and not sys.stdin.isatty():
        raise UsageError("--overwrite ask needs a terminal", "say never or always")
    require_destination(arguments.to, policy.overwrite)
    tell_leftovers(where_to_work(arguments.to))
    origin = origin_of(arguments, signers_of(arguments))
    if not arguments.json:
        _announce(origin, arguments.to)
    with ProgressLine() as line:
        progress = RestoreProgress(line, 0 if choice.paths else origin.size)
        writing = Writing(arguments.to, choice, policy, arguments.numeric_owner, owners)
        done = restore(origin, writing, progress.show)
    for text in json_lines(origin, arguments.to, done) if arguments.json else lines(origin, done):
        print(text)
    return ExitStatus.PARTIAL if is_partial(origin, done) else ExitStatus.DONE


def _announce(origin: "Origin", to: Path) -> None:
    from nightdrop_restore.vaults.catalog import is_from_the_future

    newest = origin.chain[-1].key
    if is_from_the_future(newest, datetime.now(UTC)):
        print(
            f"warning: the set of {newest.end} is from the future: a clock was wrong, or somebody made "
            "it up; --time restores one from before"
        )
    for one in origin.passed_over:
        if one.unfinished:
            print(f"note: the set of {one.key.end} was not finished")
        else:
            print(f"warning: the set of {one.key.end} cannot be restored: {one.hindrance}")
    for each in origin.chain:
        for text in each.passed_receipts:
            print(f"warning: {harmless(text, 1000)}")
    for stem, why in origin.unsigned.items():
        print(f"warning: {origin.host} did not sign {stem}: {harmless(why)}")
    print(f"restoring {origin.host} as of {newest.end} into {to}", flush=True)
