"""Small files that a mirror keeps or hands out, 0600, and whose they are."""

import os
from pathlib import Path

from nightdrop.errors import NightdropError, permission_hint
from nightdrop.files import whole_file


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
        why = f"cannot make the folder {path}: {error.strerror}"
        raise NightdropError(why, permission_hint(error)) from error


def write_private(path: Path, octets: bytes, *, replace: bool = True, ours: bool = True) -> None:
    """Write a file, 0600: after this, or after a crash, it holds all of `octets` or what it held before.

    With `replace` False, NightdropError if there is something of that name already. What is `ours` is
    for the mirror's user, whose folder it is in; anything else stays with who runs this.
    """
    try:
        with whole_file(path, 0o600, replace=replace) as file:
            if ours:
                hand_over(path, file.fileno())
            file.write(octets)
    except FileExistsError as error:
        raise NightdropError(f"{path}: this file has just been made by somebody else") from error
    except OSError as error:
        why = f"cannot write {path}: {error.strerror}"
        raise NightdropError(why, permission_hint(error)) from error


def hand_over(path: Path, descriptor: int | None = None) -> None:
    """What root makes in a folder of the mirror's user is that user's: the door has to read it.

    `descriptor` is the file's, where `path` is not its name yet.
    """
    if os.geteuid() == 0:
        owner = path.parent.stat()
        if descriptor is None:
            os.chown(path, owner.st_uid, owner.st_gid, follow_symlinks=False)
        else:
            os.fchown(descriptor, owner.st_uid, owner.st_gid)
