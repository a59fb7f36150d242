"""`nightdrop acknowledge`: sets are lost, and nothing brings them back."""

import argparse
import os
import pwd
import time

from nightdrop.arguments import add_config
from nightdrop.errors import ExitStatus, UsageError
from nightdrop.mirror import DEFAULT_PATH, load_mirror

DESCRIPTION = """\
Write down that sets are known to be gone from this mirror, and why: all that came here complete, are gone
now, and that `nightdrop check` calls an error for it (broken-chain). From then on it tells of them as a
note, with who acknowledged it, when and why; a set that gets lost later is an error again. Nothing in the
vault changes. For what a disk lost, or a mirror that was put back from a copy of its own, once there is
nothing left to be copied back from another mirror.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument("hosts", metavar="HOST", nargs="*", help="whose sets are gone, such as web1")
    parser.add_argument("--all", action="store_true", help="every host's")
    parser.add_argument("--because", metavar="TEXT", required=True, help="why, for the report")
    parser.add_argument("--by", metavar="NAME", help="who knows of it, for the report (you)")
    add_config(parser, "the mirror's", DEFAULT_PATH)


def run(arguments: argparse.Namespace) -> ExitStatus:
    """Find what is gone, and write it down."""
    from nightdrop.owners import as_owner
    from nightdrop.text import count
    from nightdrop_check.acknowledging import acknowledge
    from nightdrop_check.words import some

    if bool(arguments.hosts) == arguments.all:
        raise UsageError("name hosts, or --all of them", "see `nightdrop acknowledge --help`")
    by = _who() if arguments.by is None else arguments.by
    for option, text in (("because", arguments.because), ("by", by)):
        if not text.strip() or len(text) > 500:
            raise UsageError(f"--{option} wants a text of 1 to 500 characters", "the report will show it")
    mirror = load_mirror(arguments.config)
    with as_owner(mirror.state):
        path, loss = acknowledge(
            mirror, arguments.hosts, by=by, because=arguments.because, now=time.time()
        )
    for host in dict.fromkeys(each.host for each in loss.sets):
        lost = [each.set for each in loss.sets if each.host == host]
        print(f"nightdrop: {host}: {count(len(lost), 'set')} acknowledged to be lost: {some(lost)}")
    print(f"nightdrop: recorded in {path}")
    return ExitStatus.DONE


def _who() -> str:
    """The name of whoever runs this, behind sudo, too."""
    try:
        return os.environ.get("SUDO_USER") or pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return str(os.getuid())
