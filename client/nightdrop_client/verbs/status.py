"""`nightdrop status`."""

import argparse
import fcntl
import json
import os
import time
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from nightdrop.errors import ExitStatus
from nightdrop.text import format_duration, format_size
from nightdrop_client.configuration import DEFAULT_PATH, load_client

if TYPE_CHECKING:
    from nightdrop_client.configuration import Client
    from nightdrop_client.droplog import DropLog
    from nightdrop_client.state import State

DESCRIPTION = """
What this host has backed up: the last sets, which mirrors have them, and when the next full is due. Asks
nobody but this host's own records; what a mirror really has, its `nightdrop check` says.

Exits 0 if the newest set is on every mirror, 3 if it is not, 1 if there is no set yet.
"""

_SETS_SHOWN = 5


@dataclass(frozen=True)
class _Set:
    """One set: its name, when it was finished (epoch seconds), octets read and stored, source files that
    could not be read, and for each mirror whether it has all of it.
    """

    name: str
    finished: float
    size: int
    stored: int
    unread: int
    mirrors: dict[str, bool]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument(
        "--config",
        metavar="FILE",
        type=Path,
        default=DEFAULT_PATH,
        help="default: %(default)s",
    )
    parser.add_argument("--json", action="store_true", help="print all that is known as one JSON object")


def run(arguments: argparse.Namespace) -> ExitStatus:
    """Say what there is."""
    from nightdrop_client.droplog import DropLog
    from nightdrop_client.planning import plan
    from nightdrop_client.state import State

    client = load_client(arguments.config)
    state = State(client.state)
    sets: list[_Set] = []
    next_set = "full"
    if state.drop_log.exists():
        log = DropLog(state.drop_log)
        sets = _sets(client, log)
        mirrors = [mirror.name for mirror in client.bundle.mirrors]
        next_set = plan(log, mirrors, client.full_every, time.time(), full_wanted=False).type
        log.close()
    running = _is_running(state)
    if arguments.json:
        facts = {
            "host": client.bundle.host,
            "running": running,
            "next": next_set,
            "sets": [asdict(one) for one in sets],
        }
        print(json.dumps(facts))
    else:
        print(_text(client, sets, next_set, running))
    if not sets:
        return ExitStatus.FAILED
    return ExitStatus.DONE if all(sets[-1].mirrors.values()) else ExitStatus.PARTIAL


def _sets(client: "Client", log: "DropLog") -> list[_Set]:
    found = []
    for done in log.sets():
        files = log.files(done.key)
        having = {
            mirror.name: done.key.receipt_name in log.files(done.key, mirror.name)
            for mirror in client.bundle.mirrors
        }
        stored = sum(file.size for file in files.values())
        found.append(_Set(done.key.stem, done.finished, done.size, stored, done.unread, having))
    return found


def _is_running(state: "State") -> bool:
    try:
        descriptor = os.open(state.lock_file, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def _text(client: "Client", sets: list[_Set], next_set: str, running: bool) -> str:
    lines = [f"{client.bundle.host}{', a backup is under way' if running else ''}"]
    for one in sets[-_SETS_SHOWN:]:
        age = format_duration(max(0, time.time() - one.finished))
        at = datetime.fromtimestamp(one.finished, UTC)
        lines.append(
            f"  {one.name}  {at:%Y-%m-%d %H:%M} UTC, {age} ago, "
            f"{format_size(one.size)} read, {format_size(one.stored)} stored"
        )
        lines += [f"    not on {mirror}" for mirror, has_it in one.mirrors.items() if not has_it]
        if one.unread:
            lines.append(f"    source files that could not be read: {one.unread}")
    if not sets:
        lines.append("  no backup yet")
    fulls = [one for one in sets if "-full." in one.name]
    if next_set == "full" or not fulls:
        lines.append("  the next one will be a full")
    else:
        due = format_duration(max(0, fulls[-1].finished + client.full_every - time.time()))
        lines.append(f"  the next one will be an incremental; a full is due in {due}")
    return "\n".join(lines)
