"""`not-encrypted`: a file that should be an envelope and is none. Anybody might read it."""

from collections.abc import Iterator

from nightdrop_check.findings import Finding
from nightdrop_check.rules import told
from nightdrop_check.view import View


def judge(view: View) -> Iterator[Finding]:
    """Files named .p7m that are no envelope."""
    yield from told.findings(
        view,
        "not-encrypted",
        "no envelope",
        f"see how {view.host} makes its backups, and take the file off this mirror if it tells secrets",
    )
