"""Temporary folders, and what is left of those of a restore that was killed.

What is in them is in the clear: parts of backups. So the next restore tells of them, and whose disk it is
removes them: a name alone proves nothing, because a backup from a host in an attacker's hands may have
brought it along. While one is in use, it is locked.
"""

import fcntl
import os
import re
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Final, Literal

from nightdrop.interrupts import temporary_folder
from nightdrop.text import count, harmless
from nightdrop_restore.writing.writable import is_writable

_NAME: Final = re.compile(r"\.nightdrop-(restore|drill|open)-[a-z0-9_]{8}", re.ASCII)
_MOST_TOLD: Final = 8


@contextmanager
def workplace(near: Path) -> Iterator[Path]:
    """A temporary folder for volumes and metadata, on the disk that is restored to."""
    with locked_folder("restore", where_to_work(near)) as folder:
        yield folder


def where_to_work(near: Path) -> Path:
    """The folder that has such a one: beside `near`; or `near` itself, where it is a disk of its own, or
    lies in a folder that is somebody else's.
    """
    inside = near.is_mount() or (near.is_dir() and not is_writable(near.parent))
    return near if inside else near.parent


@contextmanager
def locked_folder(what: Literal["restore", "drill", "open"], within: Path) -> Iterator[Path]:
    """A temporary folder for the time of the block, which all can see is in use."""
    # The lock is let go of when the folder is gone.
    with ExitStack() as lock, temporary_folder(f".nightdrop-{what}-", within) as folder:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        lock.callback(os.close, descriptor)
        # There are file systems without locks; on those, nobody can tell.
        with suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_SH)
        yield folder


def tell_leftovers(within: Path) -> None:
    """Warn of what was left there."""
    left = left_behind(within)
    for folder in left[:_MOST_TOLD]:
        print(
            f"warning: a restore that was killed left {harmless(str(folder), 1000)}, where parts of a "
            "backup may lie in the clear; look at it, and remove it",
            file=sys.stderr,
        )
    if more := left[_MOST_TOLD:]:
        print(f"warning: and {count(len(more), 'other folder')} like it", file=sys.stderr)


def left_behind(within: Path) -> list[Path]:
    """The temporary folders there that are ours, have something in them, and are in nobody's use."""
    try:
        found = sorted(path for path in within.iterdir() if _NAME.fullmatch(path.name))
    except OSError:
        return []
    return list(filter(_is_left, found))


def _is_left(folder: Path) -> bool:
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            if os.fstat(descriptor).st_uid != os.geteuid():
                return False
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # Who has just made one locks it before anything is in it.
            with os.scandir(descriptor) as entries:
                return any(True for _ in entries)
        finally:
            os.close(descriptor)
    except OSError:
        return False
