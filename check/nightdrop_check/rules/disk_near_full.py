"""`disk-near-full`: the vault's disk is full, or will be soon if it goes on as it did."""

from collections.abc import Iterator
from typing import Final

from nightdrop.text import format_size
from nightdrop_check.findings import Finding
from nightdrop_check.view import House
from nightdrop_check.words import span

_SOON: Final = 30 * 86400
_VERY_SOON: Final = 7 * 86400


def judge(house: House) -> Iterator[Finding]:
    """Compare the room there is with what comes in."""
    room = house.room
    if room is None:
        return
    left = None if room.full_at is None else room.full_at - house.now
    if room.free <= 0:
        severity, why = "error", "nothing more is taken in: the disk is full but for its reserve"
    elif room.free < house.came_lately:
        severity = "error"
        came = format_size(house.came_lately)
        why = f"{format_size(room.free)} are left on the disk, and {came} came in the last week"
    elif left is not None and left < _SOON:
        severity = "error" if left < _VERY_SOON else "warning"
        why = f"{format_size(room.free)} are left on the disk, which is full in about {span(left)}"
    else:
        return
    yield Finding(
        "disk-near-full",
        "error" if severity == "error" else "warning",
        "",
        "",
        why,
        "make room with `nightdrop prune`, or give it a larger disk",
        {"free": room.free, "total": room.total, "full_at": room.full_at},
    )
