"""The vault as every role reaches it: hosts, and the files each of them dropped.

One small interface (store, stat, list, read), so that something other than a folder tree can stand
behind it later. A vault lies open to whoever roots the mirror, and hosts choose what is in their
files, so nothing here follows a symbolic link or opens anything but a regular file.
"""

import errno
import os
import stat
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from operator import itemgetter
from pathlib import Path
from typing import BinaryIO, Final, NamedTuple, Protocol

from nightdrop.errors import VaultError
from nightdrop.text import harmless

MOST_FILES: Final = 150_000
"""Files of one host that are looked at: each costs memory. Years of a large host have a tenth of that."""


_NAME: Final = itemgetter(0)
_AHEAD: Final = 32
"""Files that are asked for before the first of them is looked at: a disk answers many at a time sooner
than one after the other.
"""


class StoredFile(NamedTuple):
    """A file of a host: its name as it stands on disk, size in octets, and the time (seconds since
    the epoch, the mirror's clock) at which the file system last changed its entry, which a client
    cannot choose. `regular` is False for links, pipes and folders: things the door never makes.
    """

    name: str
    size: int
    changed: float
    regular: bool = True


class Vault(Protocol):
    """What can be read from a vault, wherever it is kept."""

    def hosts(self) -> list[str]:
        """Every host that has a folder, sorted."""

    def strays(self) -> list[str]:
        """What lies beside the hosts' folders and is none, sorted."""

    def list(self, host: str) -> list[StoredFile]:
        """Everything in the folder of `host`, sorted by name."""

    def stat(self, host: str, name: str) -> StoredFile | None:
        """The file, or None where there is none."""

    def open(self, host: str, name: str) -> BinaryIO:
        """The file's bytes, seekable."""


class Wanted(NamedTuple):
    """A file of which the first and the last octets are wanted, so many of each."""

    name: str
    head: int
    tail: int = 0


class Ends(NamedTuple):
    """How a file begins and ends, and its size in octets."""

    head: bytes
    tail: bytes
    size: int


class FolderVault:
    """A vault that is a folder tree: VAULT/HOST/NAME."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._root = str(root)

    def hosts(self) -> list[str]:
        """Every host that has a folder, sorted; VaultError if the vault cannot be looked at."""
        with _explained(f"the vault {self.root}"), os.scandir(self.root) as entries:
            return sorted(entry.name for entry in entries if entry.is_dir(follow_symlinks=False))

    def strays(self) -> list[str]:
        """What lies beside the hosts' folders and is no folder, sorted."""
        with _explained(f"the vault {self.root}"), os.scandir(self.root) as entries:
            return sorted(e.name for e in entries if not e.is_dir(follow_symlinks=False))

    def list(self, host: str, most: int | None = None) -> list[StoredFile]:
        """Everything in the folder of `host`, sorted by name; VaultError if it cannot be read, or is more
        than `most`, of which no more than that are looked at.
        """
        with (
            _explained(f"the folder of {harmless(host)} in {self.root}"),
            self.folder(host) as folder,
        ):
            found = sorted(_entries(folder, most), key=_NAME)
        if most is not None and len(found) > most:
            raise VaultError(
                f"the folder of {harmless(host)} holds more than {most:,} files",
                "no client of ours drops so many: see what runs on that host, and who knows its password",
            )
        return found

    def count(self, host: str) -> int:
        """How many entries the folder of `host` has; VaultError if it cannot be read."""
        with (
            _explained(f"the folder of {harmless(host)} in {self.root}"),
            self.folder(host) as folder,
            os.scandir(folder) as entries,
        ):
            return sum(1 for _ in entries)

    def stat(self, host: str, name: str) -> StoredFile | None:
        """The file, or None where there is none."""
        with _explained(f"{harmless(host)}/{harmless(name)}"):
            try:
                with self.folder(host) as folder:
                    return _stored(name, os.stat(name, dir_fd=folder, follow_symlinks=False))
            except FileNotFoundError:
                return None

    def open(self, host: str, name: str) -> BinaryIO:
        """The file's bytes; VaultError where there is none or it is no regular file."""
        with _explained(f"{harmless(host)}/{harmless(name)}"), self.folder(host) as folder:
            return os.fdopen(_open(folder, name)[0], "rb")

    def ends(self, host: str, wanted: Iterable[Wanted]) -> Iterator[Ends | VaultError]:
        """The first and last octets of these files, at most so many of each, in this order; of one that
        cannot be read, why.
        """
        asked: deque[_Asked | VaultError] = deque()
        try:
            folder = self._open_folder(host)
        except OSError as error:
            yield from [_unreadable(host, each, error) for each in wanted]
            return
        try:
            for each in wanted:
                asked.append(_ask(folder, host, each))
                if len(asked) > _AHEAD:
                    yield _answer(host, asked.popleft())
            while asked:
                yield _answer(host, asked.popleft())
        finally:
            os.close(folder)
            for left in asked:
                if isinstance(left, _Asked):
                    os.close(left.descriptor)

    @contextmanager
    def folder(self, host: str) -> Iterator[int]:
        """A descriptor of the host's folder, for calls that take `dir_fd`; OSError if there is none."""
        descriptor = self._open_folder(host)
        try:
            yield descriptor
        finally:
            os.close(descriptor)

    def _open_folder(self, host: str) -> int:
        flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
        return os.open(f"{self._root}/{host}", flags)


class _Asked(NamedTuple):
    """A file that is open, and whose ends the system reads meanwhile."""

    wanted: Wanted
    descriptor: int
    size: int


def _ask(folder: int, host: str, wanted: Wanted) -> _Asked | VaultError:
    """Have the system begin to read what is wanted of a file. As directly as can be, because the check
    does it a million times.
    """
    try:
        descriptor, size = _open(folder, wanted.name)
    except OSError as error:
        return _unreadable(host, wanted, error)
    if size <= wanted.head + wanted.tail:
        os.posix_fadvise(descriptor, 0, size, os.POSIX_FADV_WILLNEED)
    else:
        os.posix_fadvise(descriptor, 0, wanted.head, os.POSIX_FADV_WILLNEED)
        if wanted.tail:
            os.posix_fadvise(descriptor, size - wanted.tail, wanted.tail, os.POSIX_FADV_WILLNEED)
    return _Asked(wanted, descriptor, size)


def _answer(host: str, asked: _Asked | VaultError) -> Ends | VaultError:
    """What was wanted, waited for where it is not read yet."""
    if isinstance(asked, VaultError):
        return asked
    (_, head, tail), descriptor, size = asked
    try:
        if size <= head + tail:
            octets = os.pread(descriptor, head + tail, 0)
            return Ends(octets[:head], octets[max(0, size - tail) :], size)
        first = os.pread(descriptor, head, 0)
        return Ends(first, os.pread(descriptor, tail, size - tail) if tail else b"", size)
    except OSError as error:
        return _unreadable(host, asked.wanted, error)
    finally:
        os.close(descriptor)


def _unreadable(host: str, wanted: Wanted, error: OSError) -> VaultError:
    return VaultError(f"cannot read {harmless(host)}/{harmless(wanted.name)}: {error.strerror}")


def _entries(folder: int, most: int | None) -> list[StoredFile]:
    """What is in a folder; where it is more than `most`, one more than that."""
    found = []
    with os.scandir(folder) as entries:
        for entry in islice(entries, None if most is None else most + 1):
            try:
                status = entry.stat(follow_symlinks=False)
            except FileNotFoundError:
                continue
            # In place, because the check does it a million times.
            regular = stat.S_ISREG(status.st_mode)
            found.append(StoredFile(entry.name, status.st_size, status.st_ctime, regular))
    return found


def _open(folder: int, name: str) -> tuple[int, int]:
    """A descriptor of a file, and its size in octets; OSError where there is none or it is no file."""
    # O_NONBLOCK: a pipe that somebody put there must not make us wait for its other end.
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    descriptor = os.open(name, flags, dir_fd=folder)
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "not a regular file")
    return descriptor, status.st_size


def _stored(name: str, status: os.stat_result) -> StoredFile:
    return StoredFile(name, status.st_size, status.st_ctime, stat.S_ISREG(status.st_mode))


@contextmanager
def _explained(what: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise VaultError(f"cannot read {what}: {error.strerror}") from error
