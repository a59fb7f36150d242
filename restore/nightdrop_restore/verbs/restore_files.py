"""`nightdrop restore files`."""

import argparse
import json
import tempfile
from datetime import UTC, datetime
from pathlib import Path

from nightdrop.errors import ExitStatus
from nightdrop.text import harmless

DESCRIPTION = """
List the files in a host's backup as of a time, a line each: when the file was changed (UTC), and its
path. Bytes that a terminal should not see are shown as escapes.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    from nightdrop_restore.selecting import add_origin_arguments

    add_origin_arguments(parser)
    parser.add_argument("--json", action="store_true", help="print one JSON array")


def run(arguments: argparse.Namespace) -> ExitStatus:
    """List the files."""
    from nightdrop_restore.choosing import choice_of
    from nightdrop_restore.items import shown
    from nightdrop_restore.restoring import list_files
    from nightdrop_restore.selecting import origin_of
    from nightdrop_restore.writing.workplaces import tell_leftovers

    choice = choice_of(arguments.paths, arguments.find, None)
    tell_leftovers(Path(tempfile.gettempdir()))
    found = list_files(origin_of(arguments), choice)
    if not arguments.json:
        for one in found:
            print(f"{_moment(one.changed):20}  {harmless(shown(one.path), 5000)}")
        return ExitStatus.DONE
    for number, one in enumerate(found):
        facts = {"path": shown(one.path), "type": one.type, "changed": _moment(one.changed)}
        print("," if number else "[", json.dumps(facts))
    print("]")
    return ExitStatus.DONE


def _moment(seconds: int) -> str:
    """The time as `--time` takes it; "" for a number that is none."""
    try:
        return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%SZ}"
    except (ValueError, OverflowError, OSError):
        return ""
