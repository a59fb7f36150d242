"""Making a restored tree what it was where duplicity could not: hard links and the holes of sparse files.

A supplement comes from the host that was backed up, which may have been in an attacker's hands. So a
path is followed from the restored folder down without ever going through a symbolic link, and nothing
is linked unless both names hold the same content.
"""

import ctypes
import os
import sqlite3
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Final

from nightdrop.supplement import Entry
from nightdrop_restore.writing.scratch import scratch_database, written_to_scratch
from nightdrop_restore.writing.unfinished import temporary_name

_SCHEMA: Final = """
    CREATE TABLE entries (number INTEGER PRIMARY KEY, link_of INTEGER, path BLOB NOT NULL);
    CREATE UNIQUE INDEX once ON entries (path, link_of IS NULL);
"""
_BLOCK: Final = 4096
_CHUNK: Final = 1024 * 1024
_KEEP_SIZE_AND_PUNCH: Final = 0x01 | 0x02
# In somebody else's folder a link may have taken a file's place, or a pipe that nobody writes to.
_AS_IT_IS: Final = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


def kept(entries: Iterable[Entry], folder: Path) -> sqlite3.Connection:
    """A supplement, kept in `folder` until nobody needs it: there may be more of it than memory holds.

    Each path once, however often a hostile one names it: each time, the file would be read.
    """
    database = scratch_database(folder, _SCHEMA)
    with written_to_scratch():
        database.executemany("INSERT OR IGNORE INTO entries (link_of, path) VALUES (?, ?)", entries)
    return database


def apply_supplement(supplement: sqlite3.Connection, root: Path, below: bytes = b"") -> Iterator[bytes]:
    """Link and punch `root` and what is below, as which the path `below` was restored (b"": everything).

    Gives the paths that could not be made what they were: their content differs now, or whoever
    restores may not read or change them.
    """
    # The root of all folders has no name; and a root may be a single file.
    top = os.fsencode(root.name) or b"."
    descriptor = os.open(root.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        chosen = "SELECT link_of, path FROM entries WHERE link_of IS"
        links = supplement.execute(f"{chosen} NOT NULL ORDER BY number")
        for _file, group in groupby(links, key=itemgetter(0)):
            names = (_within(name, below, top) for _, name in group)
            for path in _link(descriptor, filter(None, names)):
                yield path[len(top) + 1 :] or b"."
        for _, name in supplement.execute(f"{chosen} NULL ORDER BY number"):
            if (path := _within(name, below, top)) and not _punch(descriptor, path):
                yield path[len(top) + 1 :] or b"."
    finally:
        os.close(descriptor)


def _within(name: bytes, below: bytes, top: bytes) -> bytes:
    """The path of what `below` was restored as `top`; b"" for what was not."""
    if name == below:
        return top
    prefix = below and below + b"/"
    return top + b"/" + name[len(prefix) :] if name.startswith(prefix) else b""


def _link(root: int, names: Iterable[bytes]) -> Iterator[bytes]:
    """Make these names one file again; those that could not be."""
    there = (name for name in names if _is_regular(root, name))
    first = next(there, b"")
    yield from (name for name in there if not _link_to(root, first, name))


def _link_to(root: int, target: bytes, name: bytes) -> bool:
    """Make `name` a name of the file `target`; whether it is one now."""
    try:
        with _folder(root, target) as (from_folder, first), _folder(root, name) as (folder, last):
            if _is_one(from_folder, first, folder, last):
                return True
            if not _same(from_folder, first, folder, last):
                return False
            times = _times(os.stat(b".", dir_fd=folder))
            temporary = temporary_name()
            os.link(first, temporary, src_dir_fd=from_folder, dst_dir_fd=folder, follow_symlinks=False)
            try:
                os.replace(temporary, last, src_dir_fd=folder, dst_dir_fd=folder)
            except BaseException:
                os.unlink(temporary, dir_fd=folder)
                raise
            finally:
                # The folder's own time was restored already, and is not to change by this.
                os.utime(folder, ns=times)
    except OSError:
        return False
    return True


def _punch(root: int, name: bytes) -> bool:
    """Give a file back its holes: every run of blocks of zeros; whether it is there to do so."""
    if not _is_regular(root, name):
        return True
    try:
        with _folder(root, name) as (folder, last):
            descriptor = os.open(last, os.O_RDWR | _AS_IT_IS, dir_fd=folder)
        try:
            times = _times(os.fstat(descriptor))
            for start, length in _zeros(descriptor):
                if not _fallocate(descriptor, start, length):
                    return False
            os.utime(descriptor, ns=times)
        finally:
            os.close(descriptor)
    except OSError:
        return False
    return True


def _zeros(descriptor: int) -> Iterator[tuple[int, int]]:
    """Where a file holds whole blocks of zeros, chunk by chunk: (start, length)."""
    empty = bytes(_BLOCK)
    at = 0
    while chunk := os.pread(descriptor, _CHUNK, at):
        start = None
        for offset in range(0, len(chunk) + _BLOCK, _BLOCK):
            block = chunk[offset : offset + _BLOCK]
            if block == empty and start is None:
                start = offset
            elif block != empty and start is not None:
                yield at + start, offset - start
                start = None
        at += len(chunk)


def _fallocate(descriptor: int, start: int, length: int) -> bool:
    """fallocate(2) with FALLOC_FL_PUNCH_HOLE; False where the file system has no holes."""
    call = ctypes.CDLL(None, use_errno=True).fallocate
    call.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64]
    return bool(call(descriptor, _KEEP_SIZE_AND_PUNCH, start, length) == 0)


@contextmanager
def _folder(root: int, path: bytes) -> Iterator[tuple[int, bytes]]:
    """The folder that holds `path`, reached without following a link, and the path's last part."""
    *parts, last = path.split(b"/")
    descriptor = os.dup(root)
    try:
        for part in parts:
            flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
            deeper = os.open(part, flags, dir_fd=descriptor)
            os.close(descriptor)
            descriptor = deeper
        yield descriptor, last
    finally:
        os.close(descriptor)


def _is_regular(root: int, path: bytes) -> bool:
    try:
        with _folder(root, path) as (folder, last):
            return stat.S_ISREG(os.stat(last, dir_fd=folder, follow_symlinks=False).st_mode)
    except OSError:
        return False


def _is_one(first_folder: int, first: bytes, folder: int, last: bytes) -> bool:
    """Whether two names are names of one file already."""
    one = os.stat(first, dir_fd=first_folder, follow_symlinks=False)
    other = os.stat(last, dir_fd=folder, follow_symlinks=False)
    return (one.st_dev, one.st_ino) == (other.st_dev, other.st_ino)


def _same(first_folder: int, first: bytes, folder: int, last: bytes) -> bool:
    """Whether two files agree in everything that names of one file share."""
    one = os.stat(first, dir_fd=first_folder, follow_symlinks=False)
    other = os.stat(last, dir_fd=folder, follow_symlinks=False)
    for field in ("st_size", "st_mode", "st_uid", "st_gid"):
        if getattr(one, field) != getattr(other, field):
            return False
    a = os.open(first, os.O_RDONLY | _AS_IT_IS, dir_fd=first_folder)
    try:
        b = os.open(last, os.O_RDONLY | _AS_IT_IS, dir_fd=folder)
        try:
            at = 0
            while (chunk := os.pread(a, _CHUNK, at)) == os.pread(b, _CHUNK, at):
                if not chunk:
                    return True
                at += len(chunk)
            return False
        finally:
            os.close(b)
    finally:
        os.close(a)


def _times(status: os.stat_result) -> tuple[int, int]:
    return status.st_atime_ns, status.st_mtime_ns
