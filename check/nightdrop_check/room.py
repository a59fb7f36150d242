"""The room on the vault's disk, and the day on which it is full if it goes on as it did."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from nightdrop_check.memory import Memory

_DAY: Final = 86400
_WINDOW: Final = 60 * _DAY
_LEAST: Final = 7 * _DAY
_FORESEEN: Final = 100 * 365


@dataclass(frozen=True)
class Room:
    """Octets of the disk and what of them is free beyond the reserve; by how much that shrinks a day,
    None where that is not known yet; and when it is gone (epoch seconds), None where it is not foreseen.
    """

    total: int
    free: int
    per_day: float | None
    full_at: float | None


def look_at_room(vault: Path, reserve: int, memory: Memory, now: float) -> Room:
    """Measure the disk, remember what is free, and reckon from what was free before. OSError."""
    disk = os.statvfs(vault)
    free = disk.f_bavail * disk.f_frsize - reserve
    memory.record_room(now, free)
    total = disk.f_blocks * disk.f_frsize
    per_day = shrinks_per_day(memory.room(now - _WINDOW))
    return Room(total, free, per_day, full_at(free, per_day, now))


def full_at(free: int, per_day: float | None, now: float) -> float | None:
    """When so many octets are gone (epoch seconds), if they shrink by so much a day; None where that is
    not known, or not within a hundred years.
    """
    if per_day is None or per_day <= 0 or free <= 0 or free > per_day * _FORESEEN:
        return None
    return now + free / per_day * _DAY


def shrinks_per_day(samples: list[tuple[float, int]]) -> float | None:
    """By how many octets a day the free room shrinks, from times (epoch seconds) and free octets, oldest
    first; None for less than a week. What was freed at once, by hand, begins the reckoning anew.
    """
    if not samples:
        return None
    start = 0
    for number in range(1, len(samples)):
        gained = samples[number][1] - samples[number - 1][1]
        lost = max(free for _, free in samples[start:number]) - samples[number - 1][1]
        if gained > max(lost, 0) and gained > 0.01 * samples[number][1]:
            start = number
    (first, before), (last, after) = samples[start], samples[-1]
    if last - first < _LEAST:
        return None
    return (before - after) / (last - first) * _DAY
