"""A router's flash, as it was unpacked: which image is which partition (FORMAT.md, "Flash")."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

LIST_NAME: Final = "proc-mtd"
_LINE: Final = re.compile(r'mtd(\d{1,3}): ([0-9a-f]{1,16}) [0-9a-f]{1,16} "(.*)"', re.ASCII)
_LONGEST: Final = 64 * 1024


@dataclass(frozen=True)
class Partition:
    """A partition as /proc/mtd names it, its size in octets, its image, and what is wrong with that."""

    number: int
    name: str
    size: int
    image: Path | None
    problem: str


def partitions(folder: Path) -> list[Partition]:
    """The partitions of the flash that was unpacked to this folder; none if it is something else."""
    listing = folder / LIST_NAME
    if listing.is_symlink() or not listing.is_file():
        return []
    with listing.open("rb") as file:
        text = file.read(_LONGEST).decode("utf-8", "replace")
    return [
        _partition(folder, int(found[1]), int(found[2], 16), found[3])
        for line in text.splitlines()
        if (found := _LINE.fullmatch(line))
    ]


def _partition(folder: Path, number: int, size: int, name: str) -> Partition:
    pattern = re.compile(rf"(?:mtd)?0*{number}-[^/]*\.img")
    images = sorted(path for path in folder.iterdir() if pattern.fullmatch(path.name))
    if not images:
        return Partition(number, name, size, None, "its image is missing")
    found = images[0].lstat().st_size
    problem = "" if found == size else f"its image has {found:,} octets, not {size:,}"
    return Partition(number, name, size, images[0], problem)
