"""`mirror-differs`: two mirrors do not hold the same sets."""

from collections.abc import Iterator

from nightdrop.text import count
from nightdrop_check.comparing import Difference, differences
from nightdrop_check.findings import Fact, Finding, Severity
from nightdrop_check.view import House
from nightdrop_check.words import listed, some


def judge(house: House) -> Iterator[Finding]:
    """Compare what is here with what every peer holds."""
    for asked in house.peers:
        if asked.inventory is None or house.inventory is None:
            continue
        for each in differences(house.inventory, asked.inventory, asked.peer.grace):
            yield _finding(house, asked.peer.name, each)


def _finding(house: House, peer: str, each: Difference) -> Finding:
    what = some(each.what)
    sets = what if len(each.what) == 1 else f"{count(len(each.what), 'set')} ({what})"
    have, is_, its = ("has", "is", "its") if len(each.what) == 1 else ("have", "are", "their")
    sentence, hint = {
        "other": (
            f"{sets} {have} another receipt on {peer} than here",
            "one of the mirrors was tampered with: `nightdrop check --scrub-all` on both, and look who "
            "was on them",
        ),
        "there": (
            f"{sets} {is_} here and not on {peer}",
            f"if {peer} was away during {its} run, nothing is lost, and the next full is on both",
        ),
        "here": (
            f"{sets} {is_} on {peer} and not here",
            f"if this mirror was away during {its} run, nothing is lost, and the next full is on both",
        ),
        "months": (
            f"the sets of {what} are not the same here and on {peer}",
            f"`nightdrop restore list` on both vaults, or copies of them, tells which differ; {peer} may "
            "have been away then, or somebody removed some",
        ),
    }[each.how]
    # Nothing mends what one of them missed, so it is not repeated for years.
    old = house.now - each.newest > house.mirror.check.usual.full_late_after
    severity: Severity = "error" if each.how == "other" else "info" if old else "warning"
    data: dict[str, Fact] = {"peer": peer, "how": each.how, "what": listed(each.what)}
    return Finding("mirror-differs", severity, each.host, each.what[-1], sentence, hint, data)
