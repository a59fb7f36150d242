"""The folder that files are restored to: what has to be so."""

import os
from pathlib import Path

from nightdrop.errors import UsageError
from nightdrop_restore.writing.writable import is_writable
from nightdrop_restore.writing.writer import Overwrite


def require_destination(folder: Path, overwrite: Overwrite | None) -> None:
    """UsageError if nothing can be written there, or if something is there already and `overwrite` does
    not say what happens to it.
    """
    if folder.is_symlink():
        raise UsageError(f"{folder} is a symbolic link", "name the folder that it leads to")
    _require_place(folder)
    if overwrite is None and folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(
            f"{folder} is there and {'not empty' if folder.is_dir() else 'no folder'}",
            "restore into a new folder, or say with --overwrite what happens to what is there",
        )


def require_folder(folder: Path) -> None:
    """UsageError if it is no folder that things can be put into, and cannot be made one."""
    if os.path.lexists(folder) and not folder.is_dir():
        raise UsageError(f"{folder} is there and no folder", "name a folder, or one that is to be made")
    _require_place(folder)


def require_writable(folder: Path) -> None:
    """UsageError if this is no folder, or one that nothing can be written to."""
    if not folder.is_dir():
        raise UsageError(f"there is no folder {folder}", "make it first")
    if not is_writable(folder):
        raise UsageError(
            f"nothing can be written to {folder}",
            "it is read-only, or somebody else's; name another folder",
        )


def _require_place(folder: Path) -> None:
    require_writable(folder if folder.is_dir() else folder.parent)
