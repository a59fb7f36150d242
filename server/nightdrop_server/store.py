"""The writing half of the vault: a file becomes visible whole, durable and once, or not at all.

The bytes go into a file that has no name (O_TMPFILE). Only when the last one is there and on disk does
link(2) give it its name, which fails if the name is taken, whatever happened meanwhile. A kill at any
moment leaves the file whole or absent, and nothing to clear up.
"""

import errno
import itertools
import os
import queue
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from nightdrop.errors import VaultError
from nightdrop_server.body import Body
from nightdrop_server.hashing import Hasher
from nightdrop_server.shares import Share

BUFFER: Final = 512 * 1024
_SMALL: Final = 64 * 1024
_KEPT: Final = 16

_spare: "queue.LifoQueue[bytearray]" = queue.LifoQueue(_KEPT)


@dataclass(frozen=True)
class Written:
    """What was read from a body: its length in octets and its SHA-256 in hex."""

    size: int
    sha256: str


class NameTaken(Exception):  # noqa: N818  it happens, and is answered
    """The name was taken before this file could have it."""


@contextmanager
def nameless(folder: int) -> Iterator[int]:
    """A descriptor of a new file without a name in the folder (a descriptor); gone when it is closed."""
    descriptor = os.open(f"/proc/self/fd/{folder}", os.O_TMPFILE | os.O_WRONLY | os.O_CLOEXEC, mode=0o600)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def write_body(body: Body, descriptor: int, before_write: Callable[[int], None], share: Share) -> Written:
    """Write a body to a file. `before_write` is told how many octets come next, and may refuse them."""

    def write(block: memoryview) -> None:
        before_write(len(block))
        while block:
            block = block[os.write(descriptor, block) :]

    return _digest(body, write, share)


def read_body(body: Body, limit: int, share: Share) -> Written | None:
    """Read a body only to know its digest; None as soon as it is longer than `limit` octets."""
    seen = 0

    def look(block: memoryview) -> None:
        nonlocal seen
        seen += len(block)
        if seen > limit:
            raise _TooMuch

    try:
        return _digest(body, look, share)
    except _TooMuch:
        return None


def give_name(descriptor: int, folder: int, name: str) -> None:
    """Put the file on disk and give it its name there for good; NameTaken if it has another owner."""
    os.fsync(descriptor)
    try:
        # Without src_dir_fd Python calls link(2), which does not follow the symbolic link that
        # /proc/self/fd/N is; with it, linkat(2) with AT_SYMLINK_FOLLOW.
        os.link(f"/proc/self/fd/{descriptor}", name, src_dir_fd=folder, dst_dir_fd=folder)
    except FileExistsError as error:
        raise NameTaken from error
    os.fsync(folder)


def probe(vault: Path) -> None:
    """VaultError unless files can be stored in the vault as this module stores them."""
    try:
        descriptor = os.open(vault, os.O_TMPFILE | os.O_WRONLY | os.O_CLOEXEC, mode=0o600)
    except OSError as error:
        if error.errno in (errno.EOPNOTSUPP, errno.EISDIR):
            raise VaultError(
                f"the file system of the vault {vault} has no files without a name (O_TMPFILE)",
                "put the vault on ext4, xfs, btrfs or tmpfs",
            ) from error
        raise VaultError(
            f"cannot write to the vault {vault}: {error.strerror}",
            "it has to belong to the user that runs `nightdrop serve`",
        ) from error
    os.close(descriptor)


class _TooMuch(Exception):  # noqa: N818
    pass


def _digest(body: Body, each: Callable[[memoryview], None], share: Share) -> Written:
    hasher = Hasher()
    with _buffer(body.length) as one, _buffer(body.length) as other:
        # One is filled while the other is hashed.
        buffers = itertools.cycle((one, other))
        try:
            while octets := body.fill(buffer := next(buffers)):
                with share.turn(octets) as processor_left:
                    hasher.update(buffer[:octets], beside=processor_left)
                    each(buffer[:octets])
                if body.tiring:
                    share.rest()
                    body.rested()
        finally:
            hasher.settle()
    return Written(body.read, hasher.hexdigest())


@contextmanager
def _buffer(length: int | None) -> Iterator[memoryview]:
    """A buffer for a body of that length; large ones are used again, a few are kept for that."""
    if length is not None and length <= _SMALL:
        yield memoryview(bytearray(max(1, length)))
        return
    try:
        octets = _spare.get_nowait()
    except queue.Empty:
        octets = bytearray(BUFFER)
    try:
        yield memoryview(octets)
    finally:
        try:
            _spare.put_nowait(octets)
        except queue.Full:
            del octets
