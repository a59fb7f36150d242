"""Which of a host's latest sets are unusual, one verdict a set."""

from collections.abc import Iterator

from nightdrop.checking import CheckSettings, Expected
from nightdrop_check.shelf import Shelf, ShelfSet
from nightdrop_check.usual import TOLD_FOR, Odd, judge_full, judge_incremental, judge_source


def oddities(shelf: Shelf, settings: CheckSettings, now: float) -> list[Odd]:
    """The unusual sets among those that came lately, oldest first."""
    by_kind = sorted(shelf.done_by_kind.items())
    return [
        odd for kind, sets in by_kind for odd in _of_kind(sets, settings.expected(shelf.host, kind), now)
    ]


def _same_source(before: ShelfSet, each: ShelfSet) -> bool:
    """Whether the two receipts speak of the same. duplicity's always speak of the whole source; the
    source of another kind's incremental is what changed.
    """
    return each.key.kind == "duplicity" or before.key.type == each.key.type == "full"


def _of_kind(sets: list[ShelfSet], expected: Expected, now: float) -> Iterator[Odd]:
    before: ShelfSet | None = None
    fulls: list[ShelfSet] = []
    incrementals: list[ShelfSet] = []
    for each in sets:
        same = fulls if each.key.type == "full" else incrementals
        same.append(each)
        if now - each.received <= TOLD_FOR:
            odd = judge_source(before, each) if before and _same_source(before, each) else None
            if odd is None and same is fulls:
                odd = judge_full(fulls, expected.full)
            elif odd is None:
                full = fulls[-1] if fulls else None
                odd = judge_incremental(incrementals, full, expected.incremental)
            if odd is not None:
                yield odd
        before = each
