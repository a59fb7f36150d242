"""SQLite files on a disk that is full, or that may not be written.

SQLite shares an index of what was written last by mapping a file. Where the disk has no room for that
file, whoever touches it is killed (SIGBUS): then nobody may try, and what is there is read as it stands.
"""

import errno
import os
from pathlib import Path
from typing import Final

_ROOM: Final = 1024 * 1024
"""Octets without which nothing is begun."""


def why_not_to_write(folder: Path) -> str:
    """Why nothing can be written into a folder, as the system would say it; "" if it can. OSError."""
    if not os.access(folder, os.W_OK):
        return os.strerror(errno.EROFS if _is_read_only(folder) else errno.EACCES)
    return "" if _has_room(folder) else os.strerror(errno.ENOSPC)


def to_read(path: Path) -> str:
    """The URI by which SQLite reads a file and never writes it. OSError."""
    beside = [path.with_name(f"{path.name}-{suffix}") for suffix in ("wal", "shm")]
    cannot_share = _is_read_only(path.parent) and not all(each.exists() for each in beside)
    alone = cannot_share or not _has_room(path.parent)
    return f"{path.resolve().as_uri()}?{'immutable=1' if alone else 'mode=ro'}"


def _has_room(folder: Path) -> bool:
    disk = os.statvfs(folder)
    # Of some file systems nobody knows how large they are.
    return not disk.f_blocks or disk.f_bavail * disk.f_frsize >= _ROOM


def _is_read_only(folder: Path) -> bool:
    return bool(os.statvfs(folder).f_flag & os.ST_RDONLY)
