"""btrfs snapshots. One lies in the subvolume it is of, as it has to be somewhere in that file system."""

import os
import stat
from pathlib import Path

from nightdrop.errors import NightdropError
from nightdrop_client.sources.programs import output_of

_ROOT_OF_SUBVOLUME = 256
"""The inode of a subvolume's root (btrfs-subvolume(8))."""


class Btrfs:
    """Snapshots of a subvolume."""

    def find(self, folder: str) -> str:
        """The subvolume, by its path."""
        kind = output_of(["stat", "--file-system", "--format=%T", folder]).strip()
        if kind != "btrfs" or Path(folder).stat().st_ino != _ROOT_OF_SUBVOLUME:
            raise NightdropError(f"{folder} is not a btrfs subvolume")
        return folder

    def take(self, what: str, name: str, room: int, view: Path) -> str:  # noqa: ARG002
        """Snapshot the subvolume; subvolumes below it are empty folders in that."""
        place = _place(what, name)
        output_of(["btrfs", "subvolume", "snapshot", "-r", what, place])
        return place

    def release(self, what: str, name: str, view: Path) -> None:  # noqa: ARG002
        """Delete the snapshot."""
        place = _place(what, name)
        if os.path.lexists(place) and stat.S_ISDIR(os.lstat(place).st_mode):
            output_of(["btrfs", "subvolume", "delete", place])


def _place(what: str, name: str) -> str:
    return f"{what.rstrip('/')}/.{name}"
