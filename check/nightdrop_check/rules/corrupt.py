"""`corrupt`: a file whose bytes are not those that arrived, or not those that its receipt tells of."""

from collections.abc import Iterator

from nightdrop_check.findings import Finding
from nightdrop_check.rules import told
from nightdrop_check.view import View

_HINT = (
    "look at this mirror's disk and memory, and who was on it; the other mirror may have the set whole; "
    "a new full makes this mirror whole again"
)


def judge(view: View) -> Iterator[Finding]:
    """Files with other bytes, and receipts that are none."""
    yield from told.findings(view, "corrupt", "damaged", _HINT)
    for each in view.shelf.loose:
        if each.receipt_state == "wrong":
            name = each.key.receipt_name
            sentence = f"the receipt of {each.stem} is no receipt: {each.receipt_problem}"
            yield Finding("corrupt", "error", view.host, name, sentence, _HINT, {"files": [name]})
