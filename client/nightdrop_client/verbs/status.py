"""`nightdrop status`."""

import argparse
import json
import time
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from nightdrop.arguments import add_config
from nightdrop.errors import ExitStatus
from nightdrop.text import format_duration, format_size, harmless
from nightdrop_client.configuration import DEFAULT_PATH, load_client

if TYPE_CHECKING:
    from nightdrop_client.configuration import Client
    from nightdrop_client.droplog import DropLog
    from nightdrop_client.lastrun import LastRun

DESCRIPTION = """
What this host has backed up: the last sets, which mirrors have them, and when the next full is due. Asks
nobody but this host's own records; what a mirror really has, its `nightdrop check` says.

Exits 0 if the newest set is on every mirror and the last run went well, 3 if not, 1 if there is no set
yet.
"""

_SETS_SHOWN = 5


@dataclass(frozen=True)
class _Set:
    """One set: its name, when it was finished (epoch seconds), octets read and stored, source files that
    could not be read, sources that failed, and for each mirror whether it has all of it.
    """

    name: str
    finished: float
    size: int
    stored: int
    unread: int
    failed: list[str]
    mirrors: dict[str, bool]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    add_config(parser, "this host's", DEFAULT_PATH)
    parser.add_argument("--json", action="store_true", help="print all that is known as one JSON object")


def run(arguments: argparse.Namespace) -> ExitStatus:
    """Say what there is."""
    from nightdrop_client.droplog import DropLog
    from nightdrop_client.lastrun import read_last_run
    from nightdrop_client.planning import plan
    from nightdrop_client.state import State, is_running
    from nightdrop_client.timers import next_start

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
    running = is_running(state)
    last, due = read_last_run(state.last_run), next_start(client.path)
    if arguments.json:
        facts = {
            "host": client.bundle.host,
            "running": running,
            "next": next_set,
            "next_start": due,
            "last_run": None if last is None else asdict(last),
            "sets": [asdict(one) for one in sets],
        }
        print(json.dumps(facts))
    else:
        lines = [
            f"{client.bundle.host}{', a backup is under way' if running else ''}",
            *_sets_text(sets),
            *_mirrors_text(client, sets),
            *_last_text(last, running),
            *_next_text(client, sets, next_set, due),
        ]
        print("\n".join(lines))
    if not sets:
        return ExitStatus.FAILED
    well = all(sets[-1].mirrors.values()) and (last is None or running or last.outcome == "done")
    return ExitStatus.DONE if well else ExitStatus.PARTIAL


def _sets(client: "Client", log: "DropLog") -> list[_Set]:
    found = []
    for done in log.sets(retired_too=True):
        files = log.files(done.key)
        having = {
            mirror.name: done.key.receipt_name in log.files(done.key, mirror.name)
            for mirror in client.bundle.mirrors
        }
        stored = sum(file.size for file in files.values())
        failed = sorted(done.failed)
        found.append(_Set(done.key.stem, done.finished, done.size, stored, done.unread, failed, having))
    return found


def _sets_text(sets: list[_Set]) -> list[str]:
    lines = []
    for one in sets[-_SETS_SHOWN:]:
        lines.append(
            f"  {one.name}  {_moment(one.finished)}, "
            f"{format_size(one.size)} read, {format_size(one.stored)} stored"
        )
        lines += [f"    not on {mirror}" for mirror, has_it in one.mirrors.items() if not has_it]
        if one.unread:
            lines.append(f"    source files that could not be read: {one.unread}")
        lines += [f"    not whole in it: {place}" for place in one.failed]
    return lines or ["  no backup yet"]


def _mirrors_text(client: "Client", sets: list[_Set]) -> list[str]:
    """For each mirror, the newest set that it has, where that is not the newest of all."""
    lines = []
    for mirror in client.bundle.mirrors:
        having = [one for one in sets if one.mirrors[mirror.name]]
        if sets and (not having or having[-1] is not sets[-1]):
            newest = f"newest set is of {_moment(having[-1].finished)}" if having else "has no set"
            lines.append(f"  the mirror {mirror.name}: {newest}")
    return lines


def _last_text(last: "LastRun | None", running: bool) -> list[str]:
    if last is None or running:
        return []
    lines = [f"  the last run, {_moment(last.ended or last.begun)}, {last.how}"]
    return lines + [f"    {harmless(line)}" for line in last.lines]


def _next_text(client: "Client", sets: list[_Set], next_set: str, due: float | None) -> list[str]:
    fulls = [one for one in sets if "-full." in one.name]
    if next_set == "full" or not fulls:
        lines = ["  the next one will be a full"]
    else:
        left = format_duration(max(0, fulls[-1].finished + client.full_every - time.time()))
        lines = [f"  the next one will be an incremental; a full is due in {left}"]
    if due is not None:
        at = datetime.fromtimestamp(due, UTC)
        lines.append(f"  systemd starts it at {at:%Y-%m-%d %H:%M} UTC")
    return lines


def _moment(at: float) -> str:
    age = format_duration(max(0, time.time() - at))
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M} UTC, {age} ago"
