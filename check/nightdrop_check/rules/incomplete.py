"""`incomplete`: a set of which something is not there."""

from collections.abc import Iterator

from nightdrop.text import count, format_size
from nightdrop_check.chains import building_on
from nightdrop_check.completeness import Standing
from nightdrop_check.findings import Finding, Severity
from nightdrop_check.shelf import ShelfSet, is_ahead
from nightdrop_check.view import View
from nightdrop_check.words import ago, listed, some


def judge(view: View) -> Iterator[Finding]:
    """Damaged sets are errors; what a dead run left is worth a warning until a later one went through."""
    if all(each.state in ("underway", "leftover") for each in view.standings):
        return  # `missing` tells that no set is finished
    for each in view.standings:
        if each.state == "damaged":
            yield _damaged(view, each)
        elif each.state == "elsewhere":
            yield _elsewhere(view, each)
    yield from _leftovers(view)


def _damaged(view: View, standing: Standing) -> Finding:
    each = standing.set
    return Finding(
        "incomplete",
        "error",
        view.host,
        each.stem,
        f"{each.stem} cannot be restored from here: {standing.why}{_lost(view, each)}",
        "look at this mirror's disk, and who was on it; the other mirror may have the set; "
        "a new full makes this mirror whole again",
        {"absent": listed(file.name for file in each.absent), "building_on": _building_on(view, each)},
    )


def _elsewhere(view: View, standing: Standing) -> Finding:
    each = standing.set
    # An error while the newest backup hangs by it. A later full mends that, and nothing mends the set
    # itself, so it is not repeated for years.
    later = [o for o in view.in_time if o.key.kind == each.key.kind and o.key.end > each.key.end]
    severity: Severity = (
        "info" if view.now - each.newest_file > view.mirror.check.usual.full_late_after else "warning"
    )
    if not any(other.key.type == "full" for other in later) and _building_on(view, each):
        severity = "error"
    return Finding(
        "incomplete",
        severity,
        view.host,
        each.stem,
        f"{each.stem} was not finished on this mirror: {standing.why}{_lost(view, each)}",
        "if this mirror was away for a part of that run, the other one has the set; "
        "a new full makes this mirror whole again",
        {"absent": [], "building_on": _building_on(view, each)},
    )


def _building_on(view: View, each: ShelfSet) -> int:
    return len(building_on(view.shelf, each.key))


def _lost(view: View, each: ShelfSet) -> str:
    number = _building_on(view, each)
    return f"; {count(number, 'later set')} cannot be restored without it" if number else ""


def _leftovers(view: View) -> Iterator[Finding]:
    """What dead runs left: of each kind, one finding for what a later set made up for, one for others."""
    groups: dict[tuple[str, bool], list[ShelfSet]] = {}
    for standing in view.standings:
        if standing.state == "leftover":
            each = standing.set
            groups.setdefault((each.key.kind, _is_made_up_for(view, each)), []).append(each)
    for (_, made_up), sets in groups.items():
        yield _leftover(view, sets, made_up)


def _is_made_up_for(view: View, left: ShelfSet) -> bool:
    """Whether a later set of its kind was finished."""
    ahead = is_ahead(left.key, left.newest_file)
    return any(
        each.received > left.newest_file if ahead else each.key.end > left.key.end
        for each in view.in_time
        if each.key.kind == left.key.kind
    )


def _leftover(view: View, sets: list[ShelfSet], made_up: bool) -> Finding:
    received = max(each.newest_file for each in sets)
    octets = sum(each.size for each in sets)
    one = len(sets) == 1
    what = f"{sets[0].stem} was" if one else f"{some(each.stem for each in sets)} were"
    last = "its last file came" if one else "the last of their files came"
    return Finding(
        "incomplete",
        "info" if made_up else "warning",
        view.host,
        sets[0].stem if one else "",
        f"{what} never finished; {last} {ago(view.now - received)} ({format_size(octets)} lie there)"
        + (", and a later set is complete" if made_up else ""),
        "nothing is lost; the files may be removed here to make room"
        if made_up
        else f"see on {view.host} why the run was cut short",
        {"sets": listed(each.stem for each in sets), "received": received, "octets": octets},
    )
