"""The folder that files are restored to: what has to be so, and where temporary files are meanwhile."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nightdrop.errors import UsageError
from nightdrop.interrupts import temporary_folder
from nightdrop_restore.writing import Overwrite


def require_destination(folder: Path, overwrite: Overwrite | None) -> None:
    """UsageError if nothing can be written there, or if something is there already and `overwrite` does
    not say what happens to it.
    """
    if folder.is_symlink():
        raise UsageError(f"{folder} is a symbolic link", "name the folder that it leads to")
    if not folder.parent.is_dir():
        raise UsageError(f"there is no folder {folder.parent}", "make it first")
    place = folder if folder.is_dir() else folder.parent
    if not _is_writable(place):
        raise UsageError(
            f"nothing can be written to {place}",
            "it is read-only, or somebody else's; name another folder",
        )
    if overwrite is None and folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(
            f"{folder} is there and {'not empty' if folder.is_dir() else 'no folder'}",
            "restore into a new folder, or say with --overwrite what happens to what is there",
        )


@contextmanager
def workplace(near: Path) -> Iterator[Path]:
    """A temporary folder for volumes and metadata, on the disk that is restored to: they are plain.

    Beside `near`; or in it, where it is a disk of its own, or lies in a folder that is somebody else's.
    """
    inside = near.is_mount() or (near.is_dir() and not _is_writable(near.parent))
    with temporary_folder(".nightdrop-restore-", near if inside else near.parent) as folder:
        yield folder


def _is_writable(folder: Path) -> bool:
    return os.access(folder, os.W_OK | os.X_OK)
