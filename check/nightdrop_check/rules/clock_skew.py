"""`clock-skew`: a host's clock, or the mirror's own, is off.

A host's clock is compared with the mirror's by its newest set: it cannot have been finished after it
came, and its first file comes soon after its start.
"""

from collections.abc import Iterator
from datetime import datetime
from typing import Final

from nightdrop.names import parse_time
from nightdrop_check.findings import Finding
from nightdrop_check.shelf import ShelfSet
from nightdrop_check.view import House, View
from nightdrop_check.words import span

_AHEAD: Final = 10 * 60
_BEHIND: Final = 24 * 3600


def judge(view: View) -> Iterator[Finding]:
    """Compare the host's clock with the mirror's."""
    newest = max(view.shelf.done, key=lambda each: each.received, default=None)
    if newest is None:
        return
    off = _off(newest)
    if not -_BEHIND < off < _AHEAD:
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


def judge_house(house: House) -> Iterator[Finding]:
    """See whether anything came here in the future."""
    if (ahead := house.newest - house.now) > _AHEAD:
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
    if each.receipt is None:
        return max(0.0, parse_time(each.key.end).timestamp() - each.received)
    try:
        started = datetime.fromisoformat(each.receipt.started).timestamp()
        finished = datetime.fromisoformat(each.receipt.finished).timestamp()
    except (ValueError, OverflowError):
        return 0.0
    if (ahead := finished - each.received) > 0:
        return ahead
    return min(0.0, started - each.oldest_file)
