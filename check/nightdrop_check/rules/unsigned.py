"""`unsigned`: a receipt without a signature, of a host that signs."""

from collections.abc import Iterator

from nightdrop.text import count
from nightdrop_check.findings import Finding
from nightdrop_check.view import View
from nightdrop_check.words import listed, some


def judge(view: View) -> Iterator[Finding]:
    """One finding for all receipts that came since the signer was enrolled."""
    sets = [each for each in view.shelf.loose if each.signature == "absent"]
    if not sets:
        return
    stems = [each.stem for each in sets]
    which = f"the receipt of {stems[0]}" if len(sets) == 1 else f"{count(len(sets), 'receipt')}"
    these = "" if len(sets) == 1 else f": {some(stems)}"
    yield Finding(
        "unsigned",
        "error",
        view.host,
        sets[-1].stem,
        f"{which} {'has' if len(sets) == 1 else 'have'} no signature, and {view.host} signs{these}",
        f"see `signing_key` in {view.host}'s configuration; if it is as it was, somebody else made the "
        f"receipt; a host that signs no more: `nightdrop enroll {view.host} --again --signer none`",
        {"sets": listed(stems)},
    )
