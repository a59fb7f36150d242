"""`overwrite-refused`: with the host's password other bytes were offered under a name that was taken."""

from collections.abc import Iterator

from nightdrop.ledger import MOST_REFUSALS
from nightdrop.text import count, harmless
from nightdrop_check.findings import Finding
from nightdrop_check.view import View
from nightdrop_check.words import ago


def judge(view: View) -> Iterator[Finding]:
    """Sum up what was refused since the last report, and in the last days."""
    if (refused := view.refused) is None:
        return
    what = (
        f"{harmless(refused.name, 120)}"
        if refused.names == 1
        else f"{count(refused.names, 'name')}, {harmless(refused.name, 120)} among them"
    )
    whence = harmless(refused.address, 60)
    if refused.addresses > 1:
        whence += f" and {count(refused.addresses - 1, 'other place')}"
    times = "once" if refused.number == 1 else f"{refused.number:,} times"
    if refused.number >= MOST_REFUSALS:
        times = f"at least {times}"
    yield Finding(
        "overwrite-refused",
        "warning",
        view.host,
        refused.name if refused.names == 1 else "",
        f"{times} other bytes were offered under a name that was taken ({what}), from {whence}, "
        f"the last time {ago(view.now - refused.last)}; all is as it was",
        f"our client never does that: look who was on {view.host}, and whether its password is known "
        f"elsewhere; `nightdrop enroll {harmless(view.host)} --again` gives it a new one",
        {
            "number": refused.number,
            "names": refused.names,
            "addresses": refused.addresses,
            "last": refused.last,
        },
    )
