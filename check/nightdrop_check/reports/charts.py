"""Small charts of a host's recent sets: how high each bar is."""

from collections.abc import Sequence
from typing import Final

from nightdrop_check.reports.report import SetSize

_INCREMENTAL: Final = 0.6


def heights(recent: Sequence[SetSize]) -> list[float]:
    """How high the bar of each set is, of 1: fulls against the largest full, incrementals against the
    largest of theirs, and lower. Beside a full nobody would see what an incremental does.
    """
    largest: dict[str, int] = {}
    for each in recent:
        largest[each.type] = max(largest.get(each.type, 1), each.size)
    return [
        each.size / largest[each.type] * (1 if each.type == "full" else _INCREMENTAL) for each in recent
    ]
