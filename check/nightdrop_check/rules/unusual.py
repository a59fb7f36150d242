"""Putting unusual sets into words: one finding a kind of set, however many of them there are."""

from collections.abc import Iterator
from typing import Literal

from nightdrop.text import count
from nightdrop_check.findings import Finding
from nightdrop_check.usual import Odd
from nightdrop_check.view import View
from nightdrop_check.words import listed


def findings(view: View, how: Literal["shrunk", "grown"], hint: str) -> Iterator[Finding]:
    """A finding for every kind with such sets, at the latest of them."""
    by_kind: dict[str, list[Odd]] = {}
    for odd in view.oddities:
        if odd.how == how:
            by_kind.setdefault(odd.set.key.kind, []).append(odd)
    for sets in by_kind.values():
        last = sets[-1]
        more = f"; so are {count(len(sets) - 1, 'set')} before it" if len(sets) > 1 else ""
        yield Finding(
            how,
            "error" if any(odd.grave for odd in sets) else "warning",
            view.host,
            last.set.stem,
            f"{last.set.stem} has {how}: {last.why}{more}",
            hint,
            {"usual": last.usual, "found": last.found, "sets": listed(odd.set.stem for odd in sets)},
        )
