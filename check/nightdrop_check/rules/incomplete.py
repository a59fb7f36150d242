"""`incomplete`: a set of which something is not there."""

from collections.abc import Iterator

from nightdrop.text import format_duration, format_size
from nightdrop_check.chains import building_on
from nightdrop_check.completeness import Standing, standings
from nightdrop_check.findings import Finding, Severity, listed
from nightdrop_check.shelf import ShelfSet
from nightdrop_check.view import View


def judge(view: View) -> Iterator[Finding]:
    """Damaged sets are errors; what a dead run left is worth a warning until a later one went through."""
    standing = standings(view.shelf, view.now)
    if all(each.state in ("underway", "leftover") for each in standing):
        return  # `missing` tells that no set is finished
    for each in standing:
        if each.state == "damaged":
            yield _damaged(view, each, "error", f"the set {each.set.stem} cannot be restored from here")
        elif each.state == "elsewhere":
            sentence = f"the set {each.set.stem} is not finished here"
            yield _damaged(view, each, _severity_elsewhere(view, each.set), sentence)
        elif each.state == "leftover":
            yield _leftover(view, each)


def _severity_elsewhere(view: View, each: ShelfSet) -> Severity:
    """An error while the newest backup hangs by it. A later full mends that, and nothing mends the set
    itself, so it is not repeated for years.
    """
    later = [o for o in view.shelf.done if o.key.kind == each.key.kind and o.key.end > each.key.end]
    if not any(other.key.type == "full" for other in later) and building_on(view.shelf, each.key):
        return "error"
    old = view.now - each.newest_file > view.mirror.full_late_after
    return "info" if old else "warning"


def _damaged(view: View, standing: Standing, severity: Severity, sentence: str) -> Finding:
    each = standing.set
    lost = building_on(view.shelf, each.key)
    also = f"; {len(lost)} later sets build on it" if len(lost) > 1 else ""
    also = "; a later set builds on it" if len(lost) == 1 else also
    return Finding(
        "incomplete",
        severity,
        view.host,
        each.stem,
        f"{sentence}: {standing.why}{also}",
        "look at this mirror's disk, and who was on it, unless it was away then; the other mirror may "
        "have the set; a new full makes this mirror whole again",
        {"absent": listed(file.name for file in each.absent), "building_on": len(lost)},
    )


def _leftover(view: View, standing: Standing) -> Finding:
    each = standing.set
    newer = any(o.key.kind == each.key.kind and o.key.end > each.key.end for o in view.shelf.done)
    age = format_duration(view.now - each.newest_file)
    size = format_size(each.size)
    return Finding(
        "incomplete",
        "info" if newer else "warning",
        view.host,
        each.stem,
        f"the set {each.stem} was never finished; its last file came {age} ago ({size} lie there)"
        + (", and a later set is complete" if newer else ""),
        "nothing is lost; its files may be removed here to make room"
        if newer
        else f"see on {view.host} why the run was cut short",
        {"received": each.newest_file, "octets": each.size},
    )
