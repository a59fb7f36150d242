"""The vault as every role reaches it: hosts, and the files each of them dropped.

One small interface (store, stat, list, read), so that something other than a folder tree can stand
behind it later. A vault lies open to whoever roots the mirror, and hosts choose what is in their
files, so nothing here follows a symbolic link or opens anything but a regular file.
"""

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol

from nightdrop.errors import VaultError
from nightdrop.text import harmless


@dataclass(frozen=True)
class StoredFile:
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


class FolderVault:
    """A vault that is a folder tree: VAULT/HOST/NAME."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def hosts(self) -> list[str]:
        """Every host that has a folder, sorted; VaultError if the vault cannot be looked at."""
        with _explained(f"the vault {self.root}"), os.scandir(self.root) as entries:
            return sorted(entry.name for entry in entries if entry.is_dir(follow_symlinks=False))

    def strays(self) -> list[str]:
        """What lies beside the hosts' folders and is no folder, sorted."""
        with _explained(f"the vault {self.root}"), os.scandir(self.root) as entries:
            return sorted(e.name for e in entries if not e.is_dir(follow_symlinks=False))

    def list(self, host: str) -> list[StoredFile]:
        """Everything in the folder of `host`, sorted by name; VaultError if it cannot be read."""
        with (
            _explained(f"the folder of {harmless(host)} in {self.root}"),
            self.folder(host) as folder,
        ):
            return sorted(self._entries(folder), key=lambda file: file.name)

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
            # O_NONBLOCK: a pipe that somebody put there must not make us wait for its other end.
            flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
            descriptor = os.open(name, flags, dir_fd=folder)
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                os.close(descriptor)
                raise OSError(errno.EINVAL, "not a regular file")
            return os.fdopen(descriptor, "rb")

    @contextmanager
    def folder(self, host: str) -> Iterator[int]:
        """A descriptor of the host's folder, for calls that take `dir_fd`; OSError if there is none."""
        flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(self.root / host, flags)
        try:
            yield descriptor
        finally:
            os.close(descriptor)

    @staticmethod
    def _entries(folder: int) -> Iterator[StoredFile]:
        with os.scandir(folder) as entries:
            for entry in entries:
                try:
                    yield _stored(entry.name, entry.stat(follow_symlinks=False))
                except FileNotFoundError:
                    continue


def _stored(name: str, status: os.stat_result) -> StoredFile:
    return StoredFile(name, status.st_size, status.st_ctime, stat.S_ISREG(status.st_mode))


@contextmanager
def _explained(what: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise VaultError(f"cannot read {what}: {error.strerror}") from error
