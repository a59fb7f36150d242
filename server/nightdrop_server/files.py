"""Small files that a mirror keeps or hands out: written whole or not at all, and 0600."""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nightdrop.errors import NightdropError


def make_folder(path: Path) -> None:
    """Make a folder that only its owner may enter, and those above it, unless it is there."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            path.mkdir(mode=0o700)
        except FileExistsError:
            if not path.is_dir():
                raise
            return
        hand_over(path)
    except OSError as error:
        raise NightdropError(f"cannot make the folder {path}: {error.strerror}") from error


def write_private(path: Path, octets: bytes, *, replace: bool = True, ours: bool = True) -> None:
    """Write a file, 0600: after this, or after a crash, it holds all of `octets` or what it held before.

    With `replace` False, NightdropError if there is something of that name already. What is `ours` is
    for the mirror's user, whose folder it is in; anything else stays with who runs this.
    """
    try:
        with _beside(path, octets) as written:
            if ours:
                hand_over(written)
            if replace:
                written.rename(path)
            else:
                path.hardlink_to(written)
        _sync_folder(path.parent)
    except FileExistsError as error:
        raise NightdropError(f"{path}: this file has just been made by somebody else") from error
    except OSError as error:
        raise NightdropError(f"cannot write {path}: {error.strerror}") from error


def hand_over(path: Path) -> None:
    """What root makes in a folder of the mirror's user is that user's: the door has to read it."""
    if os.geteuid() == 0:
        owner = path.parent.stat()
        os.chown(path, owner.st_uid, owner.st_gid, follow_symlinks=False)


@contextmanager
def _beside(path: Path, octets: bytes) -> Iterator[Path]:
    """A new file with these bytes in the folder of `path`, on disk; its name is gone afterwards."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode=0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(octets)
            file.flush()
            os.fsync(file.fileno())
        yield temporary
    finally:
        temporary.unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
