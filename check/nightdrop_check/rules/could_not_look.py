"""`could-not-look`: files that are there and cannot be read. What is not known is never fine."""

from collections.abc import Iterator

from nightdrop_check.findings import Finding
from nightdrop_check.rules import told
from nightdrop_check.view import View

HINT = "run the check as the user whom the vault belongs to, and look at this mirror's disk"


def judge(view: View) -> Iterator[Finding]:
    """Files and receipts that could not be read."""
    yield from told.findings(view, "could-not-look", "not readable", HINT)
    for each in view.shelf.loose:
        if each.receipt_state == "unreadable":
            name = each.key.receipt_name
            sentence = f"the receipt of {each.stem} is not readable: {each.receipt_problem}"
            yield Finding("could-not-look", "error", view.host, name, sentence, HINT, {"files": [name]})
        if each.signature == "unreadable":
            name = each.key.signature_name
            sentence = f"the signature of {each.stem} is not readable: {each.signature_problem}"
            yield Finding("could-not-look", "error", view.host, name, sentence, HINT, {"files": [name]})
