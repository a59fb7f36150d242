"""`source-errors`: the newest set is there, and its receipt says that not all of the source is in it, or
nothing at all.
"""

from collections.abc import Iterator
from typing import Final

from nightdrop.text import count, harmless
from nightdrop_check.findings import Finding
from nightdrop_check.view import View

_NAMED: Final = 20
"""Failed sources that are named, of what a host claims."""


def judge(view: View) -> Iterator[Finding]:
    """Say it of the newest set of each kind."""
    for _, sets in sorted(view.shelf.done_by_kind.items()):
        each = max(sets, key=lambda each: each.received)
        if (told := each.receipt) is None:
            continue
        if not told.source.files:
            yield Finding(
                "source-errors",
                "error",
                view.host,
                each.stem,
                f"there is no file in {each.stem}: {view.host} has found nothing to back up",
                f"see on {view.host} whether all is mounted that should be, and whether "
                "`folders.exclude` leaves out more than it should",
                {"files": 0},
            )
        for place in told.source.failed[:_NAMED]:
            yield Finding(
                "source-errors",
                "error",
                view.host,
                each.stem,
                f"{harmless(place, 120)} of {view.host} is not whole in {each.stem}: that source failed",
                f"the run on {view.host} said why, and `nightdrop status` there still tells which",
                {"source": harmless(place, 120)},
            )
        if unread := told.source.unread:
            yield Finding(
                "source-errors",
                "warning",
                view.host,
                each.stem,
                f"{count(unread, 'file')} of {view.host} could not be read and "
                f"{'is' if unread == 1 else 'are'} not in {each.stem}",
                f"the run on {view.host} named them; see there whether they matter, "
                "and exclude those that do not",
                {"unread": unread, "files": told.source.files},
            )
