"""`nightdrop admin-password`: a new password for the administrator's listener."""

import argparse
from pathlib import Path

from nightdrop.arguments import add_config
from nightdrop.errors import ExitStatus
from nightdrop.mirror import DEFAULT_PATH, load_mirror

DESCRIPTION = """\
Make a new password for the administrator's listener, in place of the one before: for the user
`admin`, who may read the whole vault there; with --metrics, for the user `metrics`, who may only read
/metrics; with --peer, for the user `peer`: another mirror, whose check may only read /inventory, the sets
that are here. It is in force at once. Only its hash is kept here, so it is shown this one time.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    add_config(parser, "the mirror's", DEFAULT_PATH)
    whose = parser.add_mutually_exclusive_group()
    whose.add_argument("--metrics", action="store_true", help="for Prometheus, which needs no more")
    whose.add_argument("--peer", action="store_true", help="for the check of another mirror")
    parser.add_argument(
        "-o", "--output", metavar="FILE", type=Path, help="a file to write it to, 0600 (standard output)"
    )


def run(arguments: argparse.Namespace) -> ExitStatus:
    """Make it, keep its hash, hand it out."""
    from nightdrop_server.administration import ADMIN, METRICS, PEER
    from nightdrop_server.enrolling import set_password
    from nightdrop_server.files import write_private
    from nightdrop_server.passwords import new_password
    from nightdrop_server.state import locked, prepare

    mirror = load_mirror(arguments.config)
    prepare(mirror)
    user = METRICS if arguments.metrics else PEER if arguments.peer else ADMIN
    password = new_password()
    if arguments.output is not None:
        # First, so that one which nobody gets to see is never in force.
        write_private(arguments.output, f"{password}\n".encode(), ours=False)
    with locked(mirror):
        set_password(mirror.administrators, user, password)
    print(
        password
        if arguments.output is None
        else f"nightdrop: the password of {user} is in {arguments.output}"
    )
    return ExitStatus.DONE
