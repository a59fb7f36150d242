"""How what two mirrors hold differs, but for what may be on its way or was removed to make room."""

from collections.abc import Iterator
from typing import Literal, NamedTuple

from nightdrop_check.inventory import Holding, Inventory, digest_of, month_of

_NOTHING = Holding({}, {})


class Difference(NamedTuple):
    """A host's sets (or months) that are not "here", not "there", or "other" on one mirror than on the
    other; and when the last of them came (epoch seconds, 0 for months).
    """

    host: str
    how: Literal["here", "there", "other", "months"]
    what: tuple[str, ...]
    newest: float


def differences(here: Inventory, there: Inventory, grace: float) -> Iterator[Difference]:
    """Every difference that is older than `grace` seconds: one of a kind for each host."""
    for host in sorted(here.hosts.keys() | there.hosts.keys()):
        ours, theirs = here.hosts.get(host, _NOTHING), there.hosts.get(host, _NOTHING)
        yield from _of_host(host, ours, theirs, (here.at - grace, there.at - grace))


def _of_host(host: str, ours: Holding, theirs: Holding, due: tuple[float, float]) -> Iterator[Difference]:
    first = max(_first(ours), _first(theirs))
    both = ours.sets.keys() & theirs.sets.keys()
    other = [stem for stem in both if ours.sets[stem].digest != theirs.sets[stem].digest]
    # A set that came here long enough ago should be there, and was not when that mirror last looked.
    not_there = [
        stem
        for stem in ours.sets.keys() - theirs.sets.keys()
        if ours.sets[stem].received < due[1] and _counts(stem, first, theirs)
    ]
    not_here = [
        stem
        for stem in theirs.sets.keys() - ours.sets.keys()
        if theirs.sets[stem].received < due[0] and _counts(stem, first, ours)
    ]
    if other:
        yield Difference(host, "other", *_summed(other, ours))
    if not_there:
        yield Difference(host, "there", *_summed(not_there, ours))
    if not_here:
        yield Difference(host, "here", *_summed(not_here, theirs))
    # Of the month in which one of them begins, a part may have been removed.
    months = {month for month in ours.months.keys() | theirs.months.keys() if month > first[:7]}
    if differing := sorted(month for month in months if _month(ours, month) != _month(theirs, month)):
        yield Difference(host, "months", tuple(differing), 0.0)


def _summed(stems: list[str], of: Holding) -> tuple[tuple[str, ...], float]:
    in_order = sorted(stems, key=lambda stem: (stem[-16:], stem))
    return tuple(in_order), max(of.sets[stem].received for stem in stems)


def _counts(stem: str, first: str, other: Holding) -> bool:
    """Whether the other mirror should have a set: not if it is older than all that it has, or if it tells
    of that month by its digest only.
    """
    return month_of(stem) not in other.months and (not first or f"{month_of(stem)} {stem[-16:]}" >= first)


def _first(of: Holding) -> str:
    """The oldest month of which something is there, with the time of its first set where that is told."""
    times = [f"{month_of(stem)} {stem[-16:]}" for stem in of.sets]
    return min([*times, *of.months], default="")


def _month(of: Holding, month: str) -> str:
    if month in of.months:
        return of.months[month]
    return digest_of({stem: one for stem, one in of.sets.items() if month_of(stem) == month})
