"""`shrunk`: a set, or what it was made of, is far smaller than usual. Something may be left out."""

from collections.abc import Iterator

from nightdrop_check.findings import Finding
from nightdrop_check.rules import unusual
from nightdrop_check.view import View


def judge(view: View) -> Iterator[Finding]:
    """Sets of the last days that are too small."""
    yield from unusual.findings(
        view,
        "shrunk",
        f"see on {view.host} whether all is there that should be: a disk that is not mounted, "
        "a folder that was moved; if it is meant to be so, this is told for a week only",
    )
