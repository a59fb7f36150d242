"""`wrong-recipient`: an envelope that somebody else can open, or that none of our keys can."""

from collections.abc import Iterator

from nightdrop_check.findings import Finding
from nightdrop_check.rules import told
from nightdrop_check.view import View


def judge(view: View) -> Iterator[Finding]:
    """Envelopes to recipients that `mirror.toml` does not name."""
    yield from told.findings(
        view,
        "wrong-recipient",
        "sealed to the wrong key",
        f"if the key was not changed on purpose, somebody changed it on {view.host}: look there; "
        "if it was, add its certificate to `recipients` in mirror.toml",
    )
