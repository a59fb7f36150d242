"""`clock-skew`: a host's clock, or the mirror's own, is off.

A host's clock is compared with the mirror's by its newest set: it cannot have been finished after it
came, and its first file comes soon after its start. Names are compared with when their sets came, because
a restore goes by names: one from the future would be taken for the newest, and one that was made up
later for what there was before. What any other rule says goes by when sets came, so that a set from the
future hides nothing.

A run waits for a lost network, and a single file may be on its way for days, but the first file of a set
that is a day late, and as long again as a slow line would have taken for it, was not made when its name
says. When it came, the ledger tells; where that does not know, a set that came a day after one with a
later name is late, because the times of a file system may be those at which the vault was copied.
"""

from bisect import bisect_left
from collections.abc import Iterator
from datetime import datetime
from typing import Final

from nightdrop.names import parse_time
from nightdrop_check.findings import Finding, Severity
from nightdrop_check.shelf import AHEAD, DELAY, ShelfSet, is_ahead, latest_name
from nightdrop_check.view import House, View
from nightdrop_check.words import listed, some, span

_EARLY: Final = "came before the time in the name, by which restoring goes"
_LATE: Final = "came a day or more after the time in the name, by which restoring goes"


def judge(view: View) -> Iterator[Finding]:
    """Compare the host's clock with the mirror's, and names with when their sets came."""
    newest = max(view.shelf.done, key=lambda each: each.received, default=None)
    if newest is None:
        return
    off = _off(newest)
    if -newest.delay < off < AHEAD:
        off = 0.0
    future = _future(view, off)
    # Its name says more.
    if off and newest not in future:
        which = "ahead of" if off > 0 else "behind"
        yield Finding(
            "clock-skew",
            "warning",
            view.host,
            newest.stem,
            f"the clock of {view.host} is {span(abs(off))} {which} this mirror's, by {newest.stem}",
            f"set the clock of {view.host}, and have it kept right (`timedatectl set-ntp true`); "
            "ages here go by this mirror's clock",
            {"seconds": round(off)},
        )
    if future:
        until = parse_time(future[-1].key.end).strftime("%Y-%m-%d %H:%M")
        taken = (
            f"; a restore takes {'it' if len(future) == 1 else 'them'} for the newest until {until} UTC"
        )
        yield _misnamed(view, future, "error", _EARLY + taken)
    yield from _of_the_past(view, off)


def _future(view: View, off: float) -> list[ShelfSet]:
    """Sets whose names are of a time to come. What a clock does that is a little ahead, and is told of,
    is made up for within a day.
    """
    # If this mirror's clock went back, that is another finding.
    latest = max([view.now, *(each.received for each in view.shelf.sets)])
    name = latest_name(latest + _grace(off))
    return [each for each in view.shelf.sets if each.oldest_file and each.key.end > name]


def _of_the_past(view: View, off: float) -> Iterator[Finding]:
    """Sets whose names tell of another time than the one they came at, which is over.

    Nothing mends that, and a restore may take them for what there was, so it is said as long as they are
    there. Of a day nobody need hear.
    """
    name = latest_name(view.now)
    sets = [each for each in view.shelf.sets if each.oldest_file and each.key.end <= name]
    early = [each for each in sets if is_ahead(each.key, each.oldest_file + DELAY)]
    # After one of those, everything is late.
    names = {each.key for each in early}
    late = [] if off < 0 else _late(view, [each for each in sets if each.key not in names])
    for which, what in ((early, _EARLY), (late, _LATE)):
        new = [each for each in which if _lately(view, each)]
        old = [each for each in which if not _lately(view, each)]
        if new:
            yield _misnamed(view, new, "warning", what)
        if old:
            yield _misnamed(view, old, "info", what)


def _misnamed(view: View, which: list[ShelfSet], severity: Severity, what: str) -> Finding:
    return Finding(
        "clock-skew",
        severity,
        view.host,
        which[-1].stem,
        f"{some(each.stem for each in which)} {what}",
        f"if the clock of {view.host} was off then, set it; if not, look who was on it. Restore "
        "with --time, from a set that can be trusted; one that cannot may be removed",
        {"sets": listed(each.stem for each in which)},
    )


def _grace(off: float) -> float:
    return DELAY if off > 0 else 0.0


def _late(view: View, sets: list[ShelfSet]) -> list[ShelfSet]:
    """Sets that came a day or more after the time in their names, or after one of their kind whose name
    is of a later time.
    """
    if all(each.booked for each in sets):
        return [each for each in sets if each.came_late]
    # Of each kind: when a set came, and the latest time in the names of all that had come by then.
    known: dict[str, tuple[list[float], list[str]]] = {}
    for each in sorted(sets, key=lambda each: each.received):
        times, latest = known.setdefault(each.key.kind, ([], []))
        times.append(each.received)
        latest.append(max(each.key.end, latest[-1] if latest else ""))
    found = []
    for each in sets:
        if each.booked:
            if each.came_late:
                found.append(each)
            continue
        times, latest = known[each.key.kind]
        before = bisect_left(times, each.oldest_file - DELAY)
        if before and latest[before - 1] > each.key.end and _lately(view, each):
            found.append(each)
    return found


def _lately(view: View, each: ShelfSet) -> bool:
    """Whether it came, or the time in its name was, less than a full's age ago."""
    last = max(each.received, parse_time(each.key.end).timestamp())
    return view.now - last <= view.settings(each.key.kind).full_late_after


def judge_house(house: House) -> Iterator[Finding]:
    """See whether anything came here in the future."""
    if (ahead := house.newest - house.now) > AHEAD:
        yield Finding(
            "clock-skew",
            "error",
            "",
            "",
            f"this mirror's clock went back: the newest file came {span(ahead)} from now",
            "set this mirror's clock; until then no age in this report is right",
            {"seconds": round(ahead)},
        )


def _off(each: ShelfSet) -> float:
    """By how many seconds the host's clock is ahead, as far as can be told."""
    if (told := each.receipt) is None:
        return max(0.0, parse_time(each.key.end).timestamp() - each.received)
    try:
        started = datetime.fromisoformat(told.started).timestamp()
        finished = datetime.fromisoformat(told.finished).timestamp()
    except (ValueError, OverflowError):
        return 0.0
    if (ahead := finished - each.received) > 0:
        return ahead
    # The times of a file system may be those at which the vault was copied.
    return min(0.0, started - each.oldest_file) if each.booked else 0.0
