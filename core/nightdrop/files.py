"""Files that are whole or not there at all, that say which they are, and that are not too long."""

import errno
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedWriter, FileIO
from pathlib import Path
from typing import Any, BinaryIO, Final

from nightdrop.errors import NightdropError
from nightdrop.interrupts import held_back

LONGEST: Final = 4 * 1024 * 1024
"""Octets beyond which a file is nothing that people write, or keys are in."""

# What mkstemp makes. Asked for again, a FAT file system would refuse.
_MADE_WITH = 0o600


class NamedFile(FileIO):
    """A plain file whose errors say which it is; the system's own, of reading and writing, do not."""

    def __init__(self, file: str | int, mode: str, called: str, *, closefd: bool = True) -> None:
        """Open this path or descriptor; `called` is what errors name."""
        super().__init__(file, mode, closefd)
        self._called = called

    def read(self, size: int | None = -1, /) -> bytes:
        """As FileIO has it."""
        with self._naming():
            return super().read(size)

    def readinto(self, buffer: Any, /) -> int:
        """As FileIO has it."""
        with self._naming():
            return super().readinto(buffer)

    def write(self, octets: Any, /) -> int:
        """As FileIO has it."""
        with self._naming():
            return super().write(octets)

    @contextmanager
    def _naming(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            error.filename = self._called
            raise


def read_short(path: Path) -> bytes:
    """A file that is short by its nature; OSError if it cannot be read, or is longer than LONGEST."""
    with path.open("rb") as file:
        octets = file.read(LONGEST + 1)
    if len(octets) > LONGEST:
        raise OSError(errno.EFBIG, os.strerror(errno.EFBIG), str(path))
    return octets


@contextmanager
def whole_file(path: Path, mode: int = 0o666, *, replace: bool = True) -> Iterator[BinaryIO]:
    """A file to write, which appears at `path` only when the block ends well, and then for good.

    Until then it is a temporary file beside it; `mode` is subject to the umask. With `replace` False,
    FileExistsError where there is something of that name by then.
    """
    umask = os.umask(0)
    os.umask(umask)
    name = ""
    try:
        with held_back():
            descriptor, name = _make_beside(path)
        with BufferedWriter(NamedFile(descriptor, "wb", str(path))) as file:
            yield file
            file.flush()
            if mode & ~umask != _MADE_WITH:
                os.fchmod(descriptor, mode & ~umask)
            os.fsync(descriptor)
        if not replace:
            _reserve(path, Path(name))
        Path(name).replace(path)
        sync(path.parent)
    finally:
        # Renaming one link of a file to another is not doing anything (rename(2)).
        if name:
            Path(name).unlink(missing_ok=True)


def _make_beside(path: Path) -> tuple[int, str]:
    """A temporary file in the folder of `path`: its descriptor and its name."""
    try:
        return tempfile.mkstemp(prefix=f".{path.name[:50]}.", dir=path.parent)
    except FileNotFoundError as error:
        raise NightdropError(f"{path}: there is no folder {path.parent}") from error


def _reserve(path: Path, file: Path) -> None:
    """Take the name `path`, for `file` to replace; FileExistsError where it is taken."""
    try:
        path.hardlink_to(file)
    except FileExistsError:
        raise
    except OSError:
        # A FAT stick has no links. There the name is taken by an empty file first.
        path.touch(0o600, exist_ok=False)


def sync(path: Path) -> None:
    """Make a file's content, or a folder's new and renamed entries, survive a power cut."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
