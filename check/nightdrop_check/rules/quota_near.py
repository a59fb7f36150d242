"""`quota-near`: a host has used up most of what it may keep here, or its next set will not fit."""

from collections.abc import Iterator
from typing import Final

from nightdrop.text import format_size
from nightdrop_check.findings import Finding
from nightdrop_check.view import View

_MOST: Final = 0.9


def judge(view: View) -> Iterator[Finding]:
    """Compare what is there, and the sets there were lately, with the quota."""
    quota, used = view.enrolled.quota, view.shelf.size
    if not quota:
        return
    done = sorted(view.shelf.done, key=lambda each: each.received)
    fulls = [each.size for each in done if each.key.type == "full"][-1:]
    incrementals = [each.size for each in done if each.key.type == "inc"][-7:]
    room = quota - used
    if used >= quota:
        severity, why = "error", "nothing more fits"
    elif room < max(incrementals, default=0):
        severity, why = "error", "the next set may not fit"
    elif room < max(fulls, default=0):
        severity, why = "warning", f"the next full, of {format_size(fulls[-1])} or so, will not fit"
    elif used >= quota * _MOST:
        severity, why = "warning", f"{format_size(room)} are left"
    else:
        return
    yield Finding(
        "quota-near",
        "error" if severity == "error" else "warning",
        view.host,
        "",
        f"{format_size(used)} of its quota of {format_size(quota)} are used, and {why}",
        f"give it a larger quota in its enrolment file, or make room with `nightdrop prune {view.host}`",
        {"used": used, "quota": quota},
    )
