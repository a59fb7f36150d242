"""`bad-signature`: a receipt whose signature is not by the host's signer, or is of other bytes."""

from collections.abc import Iterator

from nightdrop_check.findings import Finding
from nightdrop_check.view import View


def judge(view: View) -> Iterator[Finding]:
    """Every such receipt, but for those that are known to have been altered, which is told as that."""
    altered = {v.set.stem for v in view.contents.verdicts if v.file.name.part == "receipt"}
    for each in view.shelf.loose:
        if each.signature != "bad" or each.stem in altered:
            continue
        yield Finding(
            "bad-signature",
            "error",
            view.host,
            each.stem,
            f"the signature of the receipt of {each.stem} is not good: {each.signature_problem}",
            "trust that set only once you know who made its receipt: if the host's signing key was "
            f"changed on purpose, `nightdrop enroll {view.host} --again --signer CERT` tells this mirror",
            {"problem": each.signature_problem},
        )
