"""What is usual of a host's sets, and which are not: by size, and by what receipts tell of the source.

Sizes are compared as ratios, by median and median absolute deviation of their logarithms, so that one
odd set among them does no harm and a host whose sets differ widely is left in peace. A set is odd only
where it differs by a factor, by a number of octets, and by more than such sets differ from each other.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Final, Literal

from nightdrop.text import count, format_size
from nightdrop_check.shelf import ShelfSet

FLOOR: Final = 10_000_000
"""Octets by which a set has to differ, for anybody to be told."""

TOLD_FOR: Final = 8 * 86400
"""Seconds after its receipt in which an odd set is told of: so that every weekly report has it."""

_FEWEST_FILES: Final = 100
_FACTOR: Final = 2.0
_FACTOR_OF_INCREMENTALS: Final = 4.0
_SPREADS: Final = 5.0
_FULLS: Final = 5
_INCREMENTALS: Final = 90
_FEWEST_INCREMENTALS: Final = 14
_AS_LARGE_AS_A_FULL: Final = 0.8
_BEYOND_ALL: Final = 3.0


@dataclass(frozen=True)
class Odd:
    """A set that is unusual: how, what is usual and what is there (octets or files), and that in words.
    `grave` where next to nothing is left.
    """

    set: ShelfSet
    how: Literal["shrunk", "grown"]
    usual: int
    found: int
    why: str
    grave: bool = False


def judge_full(sets: Sequence[ShelfSet], expected: int) -> Odd | None:
    """Whether the last of these fulls is odd, next to those before it or to the octets expected."""
    *before, last = sets
    sizes = [each.size for each in before[-_FULLS:]]
    if expected:
        return _compare(last, expected, _FACTOR, "expected is a full of")
    if not sizes:
        return None
    centre, factor = _centre(sizes, _FACTOR)
    # What differs from the usual as the one before did has been told, and may be the new usual.
    if max(last.size, 1) / _FACTOR < sizes[-1] < max(last.size, 1) * _FACTOR:
        return None
    return _compare(last, centre, factor, "usual is a full of")


def judge_incremental(sets: Sequence[ShelfSet], full: ShelfSet | None, expected: int) -> Odd | None:
    """Whether the last of these incrementals is odd: next to those before it, to the full of its chain,
    or to the octets expected. A small one is not: there may have been little to do.
    """
    *before, last = sets
    if full is not None and full.size > FLOOR and last.size >= full.size * _AS_LARGE_AS_A_FULL:
        why = f"{format_size(last.size)}, as large as the full before it ({format_size(full.size)})"
        return Odd(last, "grown", full.size, last.size, why)
    if expected:
        return _compare(last, expected, _FACTOR, "expected is an incremental of")
    sizes = [each.size for each in before[-_INCREMENTALS:]]
    if len(sizes) < _FEWEST_INCREMENTALS or last.size < _BEYOND_ALL * max(sizes):
        return None
    centre, factor = _centre(sizes, _FACTOR_OF_INCREMENTALS)
    found = _compare(last, centre, factor, "usual is an incremental of")
    return found if found and found.how == "grown" else None


def judge_source(before: ShelfSet, last: ShelfSet) -> Odd | None:
    """Whether what was backed up has shrunk to half since the set before, as the receipts tell."""
    told_before, told = before.receipt, last.receipt
    if told_before is None or told is None:
        return None
    was, now = told_before.source, told.source
    if was.what != now.what:
        return None
    if was.files > now.files * _FACTOR and was.files - now.files >= _FEWEST_FILES:
        why = f"{count(now.files, 'file')} in its source, and {was.files:,} in the set before"
        return Odd(last, "shrunk", was.files, now.files, why, was.files > now.files * 10)
    if was.size > now.size * _FACTOR and was.size - now.size > FLOOR:
        why = f"{format_size(now.size)} in its source, and {format_size(was.size)} in the set before"
        return Odd(last, "shrunk", was.size, now.size, why, was.size > now.size * 10)
    return None


def _centre(sizes: Sequence[int], factor: float) -> tuple[int, float]:
    """The median of sizes, and by which factor one has to differ from it."""
    logs = [math.log(max(size, 1)) for size in sizes]
    middle = median(logs)
    # 1.4826: so the median absolute deviation of a normal distribution gives its standard deviation.
    spread = 1.4826 * median(abs(each - middle) for each in logs)
    return round(math.exp(middle)), max(factor, math.exp(min(_SPREADS * spread, 50)))


def _compare(last: ShelfSet, usual: int, factor: float, words: str) -> Odd | None:
    if abs(last.size - usual) <= FLOOR:
        return None
    why = f"{format_size(last.size)}, and {words} {format_size(usual)}"
    if last.size * factor <= usual:
        return Odd(last, "shrunk", usual, last.size, why)
    if last.size >= usual * factor:
        return Odd(last, "grown", usual, last.size, why)
    return None
