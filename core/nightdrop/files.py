"""Files that are whole or not there at all, and streams named `-`."""

import fcntl
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import FileIO, RawIOBase
from pathlib import Path
from typing import BinaryIO

from nightdrop.errors import NightdropError

_PIPE_SIZE = 1024 * 1024


@contextmanager
def whole_file(path: Path, mode: int = 0o666) -> Iterator[BinaryIO]:
    """A file to write, which appears at `path` only when the block ends well, and then for good.

    Until then it is a temporary file beside it; `mode` is subject to the umask.
    """
    umask = os.umask(0)
    os.umask(umask)
    try:
        descriptor, name = tempfile.mkstemp(prefix=f".{path.name[:50]}.", dir=path.parent)
    except FileNotFoundError as error:
        raise NightdropError(f"{path}: there is no folder {path.parent}") from error
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
            file.flush()
            os.fchmod(descriptor, mode & ~umask)
            os.fsync(descriptor)
        Path(name).replace(path)
        sync_folder(path.parent)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def sync_folder(folder: Path) -> None:
    """Make a new or renamed entry of a folder survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def pieces(file: RawIOBase, size: int = 256 * 1024) -> Iterator[memoryview]:
    """What an unbuffered file holds, piece by piece, each of them at most `size` octets.

    All of them share one buffer, so a piece is good until the next is asked for. A buffer for each
    would cost more than encrypting what is in it.
    """
    view = memoryview(bytearray(size))
    while octets := file.readinto(view):
        yield view[:octets]


@contextmanager
def input_stream(name: str) -> Iterator[RawIOBase]:
    """The file of this name to read, unbuffered; `-` is standard input."""
    if name == "-":
        with FileIO(0, closefd=False) as file:
            with suppress(OSError):
                fcntl.fcntl(file, fcntl.F_SETPIPE_SZ, _PIPE_SIZE)
            yield file
        return
    with Path(name).open("rb", buffering=0) as file:
        yield file


@contextmanager
def output_stream(name: str, mode: int = 0o666) -> Iterator[BinaryIO]:
    """The file of this name to write, whole or not at all; `-` is standard output, as it comes.

    So is what is there and no regular file: a device or a pipe is written to, never replaced.
    """
    path = Path(name)
    if name != "-" and path.exists() and not path.is_file():
        with path.open("wb") as file:
            yield file
        return
    if name != "-":
        with whole_file(path, mode) as file:
            yield file
        return
    if sys.stdout.isatty():
        raise NightdropError(
            "an envelope or its content would go to the terminal", "send it to a file with -o"
        )
    yield sys.stdout.buffer
    sys.stdout.buffer.flush()
