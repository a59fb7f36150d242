"""`fork`: two sets go on from the same one. The host went back in time, or there are two of it."""

from collections.abc import Callable, Iterator

from nightdrop_check.findings import Finding
from nightdrop_check.shelf import ShelfSet
from nightdrop_check.view import View
from nightdrop_check.words import listed, some


def judge(view: View) -> Iterator[Finding]:
    """Sets whose receipts name the same one before, and incrementals on the same base."""
    for sets in _forks(view.shelf.done):
        newest = max(sets, key=lambda each: each.received)
        # Nothing mends it, so it is not repeated for years.
        if view.now - newest.received > view.settings(newest.key.kind).full_late_after:
            continue
        yield Finding(
            "fork",
            "warning",
            view.host,
            newest.stem,
            f"{some(each.stem for each in sets)} go on from the same set: {view.host} went back in time, "
            "or two machines drop under its name",
            f"if {view.host} was put back from a snapshot or a copy, the newest set is sound, and "
            "`nightdrop backup --full` there begins a new chain; if not, look who has its bundle",
            {"sets": listed(each.stem for each in sets)},
        )


def _forks(done: list[ShelfSet]) -> Iterator[list[ShelfSet]]:
    told: set[str] = set()
    for sets in [*_alike(done, _previous), *_alike(done, _base)]:
        if not (stems := {each.stem for each in sets}) <= told:
            told |= stems
            yield sets


def _alike(
    done: list[ShelfSet], ancestor: Callable[[ShelfSet], tuple[str, str] | None]
) -> list[list[ShelfSet]]:
    """The sets that have the same ancestor."""
    ancestors = [ancestor(each) for each in done]
    told = [each for each in ancestors if each is not None]
    if len(set(told)) == len(told):
        return []  # as nearly always
    groups: dict[tuple[str, str], list[ShelfSet]] = {}
    for one, each in zip(ancestors, done, strict=True):
        if one is not None:
            groups.setdefault(one, []).append(each)
    return [sets for sets in groups.values() if len(sets) > 1]


def _previous(each: ShelfSet) -> tuple[str, str] | None:
    return ("", each.previous) if each.previous else None


def _base(each: ShelfSet) -> tuple[str, str] | None:
    key = each.key
    return (key.kind, key.start) if key.start else None
