"""`missing`: an enrolled host of which there is no finished set."""

from collections.abc import Iterator
from datetime import datetime

from nightdrop.text import count
from nightdrop_check.findings import Fact, Finding
from nightdrop_check.view import View
from nightdrop_check.words import ago, span


def judge(view: View) -> Iterator[Finding]:
    """Say so, unless a finished set is there or its damage is told by another rule."""
    standing = view.standings
    if any(each.state not in ("underway", "leftover") for each in standing):
        return
    since = _epoch(view.enrolled.enrolled)
    age = None if since is None else view.now - since
    data: dict[str, Fact] = {"enrolled": since, "unfinished": len(standing)}
    if gone := view.shelf.gone:
        yield _finding(
            view,
            f"all of its sets are gone: {count(len(gone), 'set')} came here, and none is left",
            "if nobody removed them on purpose, look at this mirror's disk, and who was on it",
            data | {"gone": len(gone)},
        )
    elif age is not None and age <= view.settings("duplicity").late_after:
        begun = ", but something is on its way" if standing else ""
        sentence = f"nothing yet; it was enrolled {ago(age)}{begun}"
        yield Finding("missing", "info", view.host, "", sentence, "", data)
    else:
        begun = f", only {count(len(standing), 'unfinished set')}" if standing else ""
        backup = "`nightdrop backup`" if view.enrolled.kind == "duplicity" else "its backup script"
        enrolled = "" if age is None else f" in the {span(age)} since it was enrolled"
        yield _finding(
            view,
            f"no complete set has come{enrolled}{begun}",
            f"run {backup} on {view.host} and see what it says; "
            f"for a host that is no more: `nightdrop revoke {view.host}`",
            data,
        )


def _finding(view: View, sentence: str, hint: str, data: dict[str, Fact]) -> Finding:
    return Finding("missing", "error", view.host, "", sentence, hint, data)


def _epoch(text: str) -> float | None:
    try:
        return datetime.fromisoformat(text).timestamp()
    except ValueError:
        return None
