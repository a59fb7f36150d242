"""LVM snapshots of a logical volume, mounted read-only."""

import os
from pathlib import Path

from nightdrop.errors import NightdropError
from nightdrop_client.sources.programs import output_of


class Lvm:
    """Snapshots of a logical volume (lvcreate(8)), which is named as VG/LV."""

    def find(self, folder: str) -> str:
        """The logical volume that is mounted at the folder."""
        if not os.path.ismount(folder):
            raise NightdropError(f"{folder} is not where a logical volume is mounted")
        device = output_of(["findmnt", "--noheadings", "--output", "SOURCE", "--mountpoint", folder])
        names = ["--noheadings", "--separator", "/", "--options", "vg_name,lv_name"]
        return output_of(["lvs", *names, device.split("\n")[-2].strip()]).strip()

    def take(self, what: str, name: str, room: int, view: Path) -> str:
        """Snapshot the volume, with so many octets of room for what changes meanwhile, and mount it."""
        snapshot = _snapshot(what, name)
        kind = output_of(["lvs", "--noheadings", "--options", "segtype", what]).strip()
        # A snapshot of a thin volume takes its room from the pool.
        size = ["--setactivationskip", "n"] if kind == "thin" else ["--size", f"{room // 512}s"]
        output_of(["lvcreate", "--yes", "--snapshot", *size, "--name", snapshot.split("/")[1], what])
        device = f"/dev/{snapshot}"
        system = output_of(["blkid", "--output", "value", "--match-tag", "TYPE", device]).strip()
        # XFS would refuse a second file system with the same UUID.
        options = "ro,nouuid" if system == "xfs" else "ro"
        view.mkdir(mode=0o700, exist_ok=True)
        output_of(["mount", "-t", system, "-o", options, device, str(view)])
        return str(view)

    def release(self, what: str, name: str, view: Path) -> None:
        """Unmount and remove the snapshot."""
        if os.path.ismount(view):
            output_of(["umount", str(view)])
        snapshot = _snapshot(what, name)
        known = output_of(["lvs", "--noheadings", "--separator", "/", "--options", "vg_name,lv_name"])
        if snapshot in known.split():
            output_of(["lvremove", "--yes", snapshot])


def _snapshot(what: str, name: str) -> str:
    group, volume = what.split("/")
    return f"{group}/{name}-{volume}"
