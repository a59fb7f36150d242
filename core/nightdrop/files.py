"""Files that are whole or not there at all."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from nightdrop.errors import NightdropError
from nightdrop.interrupts import held_back

# What mkstemp makes. Asked for again, a FAT file system would refuse.
_MADE_WITH = 0o600


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
        with os.fdopen(descriptor, "wb") as file:
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
