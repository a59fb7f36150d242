"""Summing up one host for a report."""

from collections.abc import Sequence
from statistics import median

from nightdrop.text import harmless
from nightdrop_check.findings import Finding
from nightdrop_check.reports.report import RECENT, HostSummary, SetSize, State
from nightdrop_check.shelf import Shelf, ShelfSet


def sum_up(host: str, shelf: Shelf | None, findings: Sequence[Finding]) -> HostSummary:
    """A host, what it has on the shelf (None if that could not be looked at), what was found of it."""
    severities = {finding.severity for finding in findings}
    worst: State = "error" if "error" in severities else "warning" if "warning" in severities else "well"
    codes = dict.fromkeys(finding.code for finding in findings if finding.severity == worst)
    if worst == "well" and shelf is not None and not shelf.done:
        worst = "waiting"
    if shelf is None:
        worst, codes = "error", {"could-not-look": None}
    done = sorted(shelf.done, key=lambda each: each.received) if shelf else []
    fulls = [each.received for each in done if each.key.type == "full"]
    return HostSummary(
        name=harmless(host, 80),
        state=worst,
        codes=tuple(codes),
        newest_full=max(fulls, default=None),
        newest_set=max((each.received for each in done), default=None),
        sets=len(done),
        files=shelf.files if shelf else 0,
        size=shelf.size if shelf else 0,
        newest_size=done[-1].size if done else None,
        usual_size=_usual(done),
        recent=tuple(SetSize(e.stem, e.key.type, e.size, e.received) for e in done[-RECENT:]),
    )


def _usual(done: Sequence[ShelfSet]) -> int | None:
    """The median of the sets before the newest that are of its kind and type; None if there is none."""
    if not done:
        return None
    *before, newest = done
    same = [e.size for e in before if (e.key.kind, e.key.type) == (newest.key.kind, newest.key.type)]
    return round(median(same[-RECENT:])) if same else None
