"""`late`: the newest set, or the newest full, came longer ago than it should have.

Ages are by the mirror's own time of receipt, of every kind of set by itself. A host that is late with
everything is told of once.
"""

from collections.abc import Iterator

from nightdrop_check.findings import Fact, Finding, Severity
from nightdrop_check.shelf import ShelfSet
from nightdrop_check.view import View
from nightdrop_check.words import ago


def judge(view: View) -> Iterator[Finding]:
    """Compare the age of each kind's newest sets with what `mirror.toml` allows."""
    for kind in sorted(view.shelf.first):
        expected = view.settings(kind)
        done = view.shelf.done_by_kind.get(kind, [])
        if not done:
            continue
        what = "" if kind == "duplicity" else f" of {kind}"
        newest = max(done, key=lambda each: each.received)
        if (age := view.now - newest.received) > expected.late_after:
            yield _finding(
                view,
                newest,
                f"the newest set{what} came {ago(age)}",
                f"run `nightdrop backup` on {view.host} and see what it says"
                if kind == "duplicity"
                else f"see on {view.host} why its backup did not run or did not get through",
                allowed=expected.late_after,
                severity="error",
            )
            continue
        fulls = [each for each in done if each.key.type == "full"]
        newest = max(fulls, key=lambda each: each.received, default=newest)
        if fulls and (age := view.now - newest.received) > expected.full_late_after:
            yield _finding(
                view,
                newest,
                f"the newest full{what} came {ago(age)}; a long chain restores slowly, "
                "and breaks where any of its sets does",
                f"run `nightdrop backup --full` on {view.host}, or see why fulls are due so rarely there"
                if kind == "duplicity"
                else f"see on {view.host} why no full was made",
                allowed=expected.full_late_after,
                severity="warning",
            )


# A late set means that nothing new is saved; a late full, that what is saved hangs by a long thread.
def _finding(
    view: View, each: ShelfSet, sentence: str, hint: str, *, allowed: int, severity: Severity
) -> Finding:
    data: dict[str, Fact] = {
        "received": each.received,
        "age": view.now - each.received,
        "allowed": allowed,
    }
    return Finding("late", severity, view.host, each.stem, sentence, hint, data)
