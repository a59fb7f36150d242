"""`fork`: two sets go on from the same one. The host went back in time, or there are two of it."""

from collections.abc import Iterator

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
    by_base: dict[tuple[str, str], list[ShelfSet]] = {}
    by_previous: dict[str, list[ShelfSet]] = {}
    for each in done:
        if each.key.start:
            by_base.setdefault((each.key.kind, each.key.start), []).append(each)
        if each.receipt is not None and each.receipt.previous:
            by_previous.setdefault(each.receipt.previous, []).append(each)
    told: set[str] = set()
    for sets in [*by_previous.values(), *by_base.values()]:
        if len(sets) > 1 and not (stems := {each.stem for each in sets}) <= told:
            told |= stems
            yield sets
