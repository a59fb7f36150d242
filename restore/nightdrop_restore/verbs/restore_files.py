"""`nightdrop restore files`."""

import argparse

from nightdrop.errors import ExitStatus
from nightdrop.text import harmless

DESCRIPTION = """
List the files in a host's backup as of a time, a line each: when the file was changed, and its path.
Bytes that a terminal should not see are shown as escapes.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    from nightdrop_restore.selecting import add_origin_arguments

    add_origin_arguments(parser)


def run(arguments: argparse.Namespace) -> ExitStatus:
    """List the files."""
    from nightdrop_restore.choosing import choice_of
    from nightdrop_restore.restoring import list_files
    from nightdrop_restore.selecting import origin_of

    choice = choice_of(arguments.paths, arguments.find, None)
    for line in list_files(origin_of(arguments), choice):
        print(harmless(line, 5000))
    return ExitStatus.DONE
