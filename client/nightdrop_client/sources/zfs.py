"""ZFS snapshots. A clone makes them readable: unlike `.zfs/snapshot`, it is there with every ZFS."""

import os
import time
from pathlib import Path
from typing import Final

from nightdrop.errors import NightdropError
from nightdrop_client.sources.programs import output_of

_BUSY: Final = 15.0
"""Seconds that something may be busy before that is an error."""


class Zfs:
    """Snapshots of a dataset (zfs(8))."""

    def find(self, folder: str) -> str:
        """The dataset that is mounted at the folder."""
        printed = output_of(["zfs", "list", "-H", "-o", "name", "-t", "filesystem", folder])
        if not os.path.ismount(folder):
            raise NightdropError(f"{folder} is not where a ZFS dataset is mounted")
        return printed.strip()

    def take(self, what: str, name: str, room: int, view: Path) -> str:  # noqa: ARG002
        """Snapshot and clone the dataset; datasets below it are not part of that."""
        output_of(["zfs", "snapshot", f"{what}@{name}"])
        clone = ["-o", "readonly=on", "-o", "canmount=noauto", "-o", f"mountpoint={view}"]
        output_of(["zfs", "clone", *clone, f"{what}@{name}", f"{what}/{name}"])
        # zfs-fuse has mounted it already.
        if not os.path.ismount(view):
            output_of(["zfs", "mount", f"{what}/{name}"])
        return str(view)

    def release(self, what: str, name: str, view: Path) -> None:  # noqa: ARG002
        """Destroy the clone, then the snapshot."""
        for one in (f"{what}/{name}", f"{what}@{name}"):
            if one in output_of(["zfs", "list", "-H", "-o", "name", "-t", "all", "-r", what]).split("\n"):
                _destroy(one)


def _destroy(one: str) -> None:
    """Destroy a clone or a snapshot. What an ended process had mounted is busy a little longer."""
    end = time.monotonic() + _BUSY
    while True:
        try:
            output_of(["zfs", "destroy", one])
        except NightdropError as error:
            if "busy" not in error.message or time.monotonic() > end:
                raise
            time.sleep(0.2)
        else:
            return
