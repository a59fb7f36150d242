"""`nightdrop prune`: make room, by removing the oldest of what a mirror keeps."""

import argparse
import sys
import time
from contextlib import closing
from typing import TYPE_CHECKING, Final

from nightdrop.arguments import add_config
from nightdrop.cli import complain
from nightdrop.errors import ExitStatus, NightdropError, UsageError, VaultError
from nightdrop.mirror import DEFAULT_PATH, Mirror, load_mirror
from nightdrop.names import is_host_name
from nightdrop.text import count, format_size, harmless, parse_duration

if TYPE_CHECKING:
    from nightdrop.vault import FolderVault
    from nightdrop_server.pruning import Plan

_LEAST: Final = 86400
_SUCH: Final = "for the states of a year: --keep 365D"

DESCRIPTION = """\
Remove from this mirror's vault, for good, what is too old: of each host and kind, all that came before
the newest whole full that is older than --keep. So every state of the last so many days can still be
restored, counted back from the newest that the host has here: of one that backs up no more, nothing gets
too old. A set is as old as the younger of two says: when it came here, and the time in its name. What
later sets build on stays, and so does what is no backup. On other mirrors nothing changes.

It says what it would remove, and asks. Read a report of `nightdrop check` first: whether the bytes of
what stays are good, only its scrub can tell.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument("hosts", metavar="HOST", nargs="*", help="whose oldest sets go, such as web1")
    parser.add_argument("--all", action="store_true", help="every host's, revoked ones' too")
    parser.add_argument(
        "--keep",
        metavar="AGE",
        required=True,
        help="what stays: the states of so long, such as 365D or 26W",
    )
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--dry-run", action="store_true", help="only say what would go")
    how.add_argument("--yes", action="store_true", help="do not ask")
    add_config(parser, "the mirror's", DEFAULT_PATH)


def run(arguments: argparse.Namespace) -> ExitStatus:
    """Find what is too old, ask, remove it."""
    from nightdrop.ledger import Ledger
    from nightdrop.owners import as_owner
    from nightdrop.vault import FolderVault
    from nightdrop_server.pruning import remove

    if bool(arguments.hosts) == arguments.all:
        raise UsageError("name hosts, or --all of them", "see `nightdrop prune --help`")
    keep = _keep(arguments.keep)
    mirror = load_mirror(arguments.config)
    vault = FolderVault(mirror.vault)
    # So that root, too, removes nothing but what is the door's.
    with as_owner(mirror.vault):
        plans, status = _plans(mirror, vault, arguments.hosts, keep)
        going = [(plan.host, each) for plan in plans for each in plan.going]
        what = f"{count(len(going), 'set')} ({format_size(sum(each.size for _, each in going))})"
        for plan in plans:
            print(_told(plan))
        if not going or arguments.dry_run:
            return status
        if not arguments.yes and not _agreed(f"Remove {what} from {mirror.name} for good?"):
            print("nightdrop: nothing was removed")
            return status
        # A mirror that is nginx's has no ledger, and gets none here.
        known = mirror.ledger.exists()
        with closing(Ledger(mirror.ledger) if known else Ledger.reading(mirror.ledger)) as ledger:
            for host, each in going:
                remove(vault, ledger, host, each)
    print(f"nightdrop: removed {what} from {mirror.name}")
    return status


def _keep(text: str) -> int:
    try:
        keep = parse_duration(text)
    except ValueError as error:
        raise UsageError(f"--keep: {error}", _SUCH) from error
    if keep < _LEAST:
        raise UsageError("--keep: less than a day", _SUCH)
    return keep


def _plans(
    mirror: Mirror, vault: "FolderVault", hosts: list[str], keep: int
) -> "tuple[list[Plan], ExitStatus]":
    """What may go of each host; of one that cannot be looked at, that is said, and the others go on."""
    from nightdrop.ledger import Ledger
    from nightdrop_server.pruning import plan

    folders = [host for host in vault.hosts() if is_host_name(host)]
    if unknown := [host for host in hosts if host not in folders]:
        raise NightdropError(
            f"there is no folder of {harmless(unknown[0], 80)} in {mirror.vault}",
            "`nightdrop hosts` lists those that there are",
        )
    plans, status, now = [], ExitStatus.DONE, time.time()
    with closing(Ledger.reading(mirror.ledger, briefly=True)) as ledger:
        for host in sorted(set(hosts) or folders):
            try:
                plans.append(plan(vault, ledger, host, keep, now))
            except VaultError as error:
                status = complain(error)
    return plans, status


def _told(plan: "Plan") -> str:
    """What goes of a host and what stays, a line for each kind."""
    lines = []
    for kind, first in plan.first.items():
        going = [each for each in plan.going if each.key.kind == kind]
        if first is None:
            told = "all stays: there is no whole full that is old enough to begin with"
        elif not going:
            told = f"all stays: {first.stem} is needed, and nothing is older"
        else:
            size = format_size(sum(each.size for each in going))
            told = f"{count(len(going), 'set')} may go ({size}), up to {going[-1].key.stem}"
        lines.append(f"{plan.host}: {kind}: {told}")
    return "\n".join(lines or [f"{plan.host}: there is no set"])


def _agreed(question: str) -> bool:
    """Whether somebody at a terminal says yes."""
    if not sys.stdin.isatty():
        raise UsageError(
            "nothing was removed: there is nobody to ask", "--yes removes without a question"
        )
    try:
        return input(f"{question} [y/N] ").strip().lower() in ("y", "yes")
    except EOFError:
        return False
