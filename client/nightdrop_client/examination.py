"""What `nightdrop doctor` looks at on a client."""

import os
import shutil
import stat
import time
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Final

from nightdrop import systemd
from nightdrop.bounded import bounded
from nightdrop.enrolment import Bundle, BundleMirror
from nightdrop.examining import Line, recipients, when
from nightdrop.text import count, format_duration, format_size
from nightdrop_client.configuration import Client, load_client
from nightdrop_client.droplog import DropLog
from nightdrop_client.lastrun import read_last_run
from nightdrop_client.planning import plan
from nightdrop_client.sources.secrets import with_passwords
from nightdrop_client.state import State, is_running
from nightdrop_client.visiting import visit

_METADATA: Final = 200_000_000
"""Octets of room for local metadata below which one should think of it: enough for a million files."""

_LATE: Final = 3 * 86400
"""Seconds after which a backup is late, as the mirrors' checks have it by default."""


def examine(path: Path) -> Iterator[Line]:
    """Everything of the client with this configuration. Asks the mirrors, changes nothing."""
    client = load_client(path)
    sources = [*client.include, *client.sources.places]
    yield Line("ok", "configuration", f"{client.bundle.host} backs up {', '.join(sources)}")
    yield _bundle(client)
    yield Line("ok", "duplicity", version("duplicity"))
    yield from recipients(iter(client.recipients))
    for mirror in client.bundle.mirrors:
        yield from bounded(f"mirror {mirror.name}", partial(_mirror, client.bundle, mirror))
    if len(client.bundle.mirrors) < 2:
        hint = "take the bundle to a second mirror: `nightdrop enroll HOST -o BUNDLE` there adds it"
        yield Line("warn", "mirrors", "there is only one, so one lost disk is one too many", hint)
    yield from bounded("state", lambda: [_room(client)])
    timer = f"nightdrop-backup@{path.stem}.timer"
    yield from bounded("timer", lambda: systemd.units([timer], [], "./install.sh client"))
    yield from bounded("backups", lambda: _last_sets(client))
    yield from bounded("last run", lambda: _last_run(State(client.state)))


def _bundle(client: Client) -> Line:
    path = client.bundle_path
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & 0o077:
        text = f"others than its owner can read {path} (mode {mode:03o}): it holds passwords"
        return Line("warn", "bundle", text, f"chmod 600 {path}")
    return Line("ok", "bundle", f"{path}, for {count(len(client.bundle.mirrors), 'mirror')}")


def _mirror(bundle: Bundle, mirror: BundleMirror) -> Iterator[Line]:
    """A mirror, asked with its password, wherever that is."""
    known, no_password = with_passwords(replace(bundle, mirrors=(mirror,)))
    if mirror.name in no_password:
        yield Line("fail", f"mirror {mirror.name}", no_password[mirror.name], "see the bundle")
    else:
        yield from visit(bundle.host, known.mirrors[0])


def _room(client: Client) -> Line:
    """Room for local metadata and, during a run, for two volumes."""
    place = client.state
    while not place.exists():
        place = place.parent
    if not os.access(place, os.W_OK):
        return Line("fail", "state", f"{client.state} cannot be written to", "run this as root")
    free, needed = shutil.disk_usage(place).free, 2 * client.volume_size + _METADATA
    if free < needed:
        text = f"{format_size(free)} are free for {client.state}; a run may need {format_size(needed)}"
        hint = "make room, or name another place with `state`, or make `volume_size` smaller"
        return Line("fail" if free < needed / 2 else "warn", "state", text, hint)
    return Line("ok", "state", f"{client.state}, with {format_size(free)} free")


def _last_run(state: State) -> Iterator[Line]:
    """How it went, by what it wrote down: not everywhere does a systemd know it. While there is a set
    that is new enough, one that failed is no more than a warning: a mirror may have been away.
    """
    last = read_last_run(state.last_run)
    if last is None or is_running(state):
        return
    text = ": ".join([f"{when(last.ended or last.begun)}, {last.how}", *last.lines[:1]])
    if last.outcome == "done":
        yield Line("ok", "last run", text)
    else:
        yield Line("warn", "last run", text, "`nightdrop status`, and the run's log, say more")


def _last_sets(client: Client) -> Iterator[Line]:
    """The newest set, as far as this host knows."""
    state = State(client.state)
    log = DropLog(state.drop_log) if state.drop_log.exists() else None
    sets = log.sets() if log else []
    if log is None or not sets:
        yield Line("warn", "backups", "there is none yet", "nightdrop backup")
        return
    last = sets[-1]
    names = [mirror.name for mirror in client.bundle.mirrors]
    lacking = [name for name in names if last.key.receipt_name not in log.files(last.key, name)]
    age = time.time() - last.finished
    text = f"the last is {last.key.stem}, of {when(last.finished)}, {format_duration(max(0, age))} ago"
    if age > _LATE:
        yield Line(
            "fail", "backups", text, "see what the last run said: `journalctl -u 'nightdrop-backup@*'`"
        )
    elif lacking:
        yield Line(
            "warn", "backups", f"{text}; not on {', '.join(lacking)}", "the next run may make up for it"
        )
    elif last.failed:
        hint = "`nightdrop status`, and the run's log, say what went wrong"
        yield Line("warn", "backups", f"{text}; not whole in it: {', '.join(sorted(last.failed))}", hint)
    elif not last.files:
        hint = "is all mounted that should be, and does `folders.exclude` leave out more than it should?"
        yield Line("warn", "backups", f"{text}; there is no file in it", hint)
    elif last.unread:
        unread = count(last.unread, "source file")
        yield Line("warn", "backups", f"{text}; {unread} could not be read", "the run's log names them")
    else:
        yield Line("ok", "backups", text)
    chosen = plan(log, names, client.full_every, time.time(), full_wanted=False)
    yield Line(
        "ok", "next backup", f"{'a full' if chosen.type == 'full' else 'an incremental'}: {chosen.reason}"
    )
    log.close()
