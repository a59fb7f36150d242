"""`weak-cipher`: an envelope whose cipher is none of those we trust."""

from collections.abc import Iterator

from nightdrop_check.findings import Finding
from nightdrop_check.rules import told
from nightdrop_check.view import View


def judge(view: View) -> Iterator[Finding]:
    """Envelopes with a cipher that is weak or not known."""
    yield from told.findings(
        view,
        "weak-cipher",
        "not well encrypted",
        f"see with what {view.host} seals; AES with 128 bits or more is right (`openssl cms -aes256`)",
    )
