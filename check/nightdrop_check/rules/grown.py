"""`grown`: a set is far larger than usual, or an incremental as large as a full."""

from collections.abc import Iterator

from nightdrop_check.findings import Finding
from nightdrop_check.rules import unusual
from nightdrop_check.view import View


def judge(view: View) -> Iterator[Finding]:
    """Sets of the last days that are too large."""
    yield from unusual.findings(
        view,
        "grown",
        f"see on {view.host} what has grown: logs, caches, a copy of something; or what changed every "
        "file, as whoever encrypts a machine for ransom does",
    )
