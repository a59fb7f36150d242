"""Paths as duplicity sees them, for what is not, or not there, in this host's tree of files."""

import copy
import io
import os
import stat
from collections.abc import Callable
from typing import BinaryIO, Final, Protocol

from duplicity.path import Path, ROPath, StatResult

Index = tuple[bytes, ...]

EXPECTED_SIZE: Final = 256 * 1024 * 1024
"""Octets that a command is taken to print. duplicity makes the blocks of a file's signature as long as
the square root of its size; with these, of 16 KiB, that of a dump of 60 GB takes 45 MB of memory.
"""


class Readable(Protocol):
    """What duplicity needs of a file."""

    def read(self, length: int = -1, /) -> bytes:
        """So many octets, fewer only at the end."""

    def close(self) -> None:
        """No more is wanted."""


class MadePath(ROPath):  # type: ignore[misc]
    """A path that is in a set and not on a disk: a folder, or a file with what `opened` gives."""

    def __init__(
        self, place: str, moment: int, opened: Callable[[], Readable] | None = None, size: int = 0
    ) -> None:
        """`moment` is the time in epoch seconds that it gets; `size` what duplicity is to expect."""
        super().__init__(index_of(place))
        self._opener = opened
        self._size = size
        self.name = os.fsencode(place)
        self.uc_name = place
        self.stat = _status(stat.S_IFREG | 0o600 if opened else stat.S_IFDIR | 0o700, moment)
        self.set_from_stat()

    def open(self, mode: str) -> BinaryIO | Readable:
        """The file to read."""
        assert mode == "rb"
        assert self._opener is not None
        return self._opener()

    def getsize(self) -> int:
        """What duplicity is to expect; how much it is, shows at the end."""
        return self._size


def text_path(place: str, moment: int, text: str) -> MadePath:
    """A file with this text."""
    octets = text.encode()
    return MadePath(place, moment, lambda: io.BytesIO(octets), len(octets))


def moved(path: Path, place: Index) -> Path:
    """A path below the root of a scan, in another place of the set; it is read where it is."""
    there = copy.copy(path)
    there.index = place + path.index
    return there


def index_of(place: str) -> Index:
    """A place in a set as duplicity sorts by."""
    return tuple(os.fsencode(place).strip(b"/").split(b"/"))


def _status(mode: int, moment: int) -> StatResult:
    status = StatResult()
    status.st_mode = mode
    status.st_uid, status.st_gid = os.getuid(), os.getgid()
    status.st_mtime = moment
    status.st_size = status.st_blocks = 0
    status.st_nlink = 1
    return status
