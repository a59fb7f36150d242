"""`truncated`: an envelope that does not end where it should, or that goes on after its end."""

from collections.abc import Iterator

from nightdrop_check.findings import Finding
from nightdrop_check.rules import told
from nightdrop_check.view import View


def judge(view: View) -> Iterator[Finding]:
    """Envelopes without their end, or with something behind it."""
    yield from told.findings(
        view,
        "truncated",
        "cut off or added to",
        "look at this mirror's disk, and who was on it; the other mirror may have the set whole; "
        "a new full makes this mirror whole again",
    )
