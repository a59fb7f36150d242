"""`nightdrop revoke`: let a host drop no more."""

import argparse

from nightdrop.arguments import add_config
from nightdrop.errors import ExitStatus
from nightdrop.mirror import DEFAULT_PATH, load_mirror

DESCRIPTION = """\
Let a host drop on this mirror no more: its password and its enrolment go, at once, while the mirror
serves. What it has dropped stays. On other mirrors it has to be revoked, too.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument("host", metavar="HOST", help="the host's name, such as web1")
    add_config(parser, "the mirror's", DEFAULT_PATH)


def run(arguments: argparse.Namespace) -> ExitStatus:
    """Revoke the host."""
    from nightdrop_server.enrolling import revoke

    mirror = load_mirror(arguments.config)
    revoke(mirror, arguments.host)
    folder = mirror.vault / arguments.host
    stays = f"; what it dropped stays in {folder}" if folder.is_dir() else ""
    print(f"nightdrop: {arguments.host} may not drop on {mirror.name} any more{stays}")
    return ExitStatus.DONE
