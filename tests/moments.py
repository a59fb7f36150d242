"""Killing a program at a chosen moment: told by what happens in some folders (inotify(7))."""

import ctypes
import os
import select
import signal
import struct
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from mirrors import wait_until

_CLOSE_WRITE, _MOVED_FROM, _MOVED_TO, _CREATE, _DELETE = 0x8, 0x40, 0x80, 0x100, 0x200
_EVENT = struct.Struct("iIII")
_libc = ctypes.CDLL(None, use_errno=True)


class Moments:
    """What happens in these folders from now on: files that appear, go, or are closed after writing."""

    def __init__(self, folders: Sequence[Path]) -> None:
        self._descriptor = _libc.inotify_init1(os.O_CLOEXEC)
        mask = _CLOSE_WRITE | _MOVED_FROM | _MOVED_TO | _CREATE | _DELETE
        for folder in folders:
            watch = _libc.inotify_add_watch(self._descriptor, os.fsencode(folder), mask)
            assert watch >= 0, (folder, os.strerror(ctypes.get_errno()))

    def __enter__(self) -> "Moments":
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._descriptor)

    def names_until_end_of(self, process: "subprocess.Popen[bytes]") -> Iterator[str]:
        """The name of the file of each moment, after a `-` if it went, while the process lives."""
        while True:
            ended = process.poll() is not None
            if select.select([self._descriptor], [], [], 0 if ended else 0.2)[0]:
                yield from _names(os.read(self._descriptor, 65536))
            elif ended:
                return


def _names(octets: bytes) -> Iterator[str]:
    while octets:
        _, kind, _, length = _EVENT.unpack_from(octets)
        name = os.fsdecode(octets[_EVENT.size : _EVENT.size + length].rstrip(b"\0"))
        yield f"-{name}" if kind & (_DELETE | _MOVED_FROM) else name
        octets = octets[_EVENT.size + length :]


def start(command: Sequence[object]) -> "subprocess.Popen[bytes]":
    """Start a program in a group of its own, for `kill_all`.

    Whoever waits for a moment goes first: on a busy machine it would be over otherwise.
    """
    return subprocess.Popen(
        ["nice", "-n", "5", *map(str, command)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def kill_all(process: "subprocess.Popen[bytes]") -> bool:
    """Kill it and all that it started, at once, as a power cut would; whether it was still there.

    Then all of them are gone, and with them what they held: locks, files that were being written.
    """
    alive = process.poll() is None
    if alive:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        wait_until(lambda: not _living(process.pid), "all that was killed is gone")
    return alive


def _living(group: int) -> list[str]:
    """The processes of a group, but those that only wait to be counted out."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            state, _parent, of = (folder / "stat").read_text().rpartition(")")[2].split()[:3]
            if int(of) == group and state not in "ZX":
                found.append(folder.name)
    return found
