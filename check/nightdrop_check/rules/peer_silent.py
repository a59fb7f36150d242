"""`peer-silent`: another mirror whose check has not looked for too long, or that does not answer."""

from collections.abc import Iterator

from nightdrop_check.findings import Finding, Severity
from nightdrop_check.view import House
from nightdrop_check.words import ago


def judge(house: House) -> Iterator[Finding]:
    """Every peer that tells nothing, or nothing new."""
    for asked in house.peers:
        peer = asked.peer
        age = house.now - asked.last
        silent = age > peer.silent_after
        if not asked.problem and not silent:
            continue
        severity: Severity = "error" if silent else "info"
        last = f"its check last looked {ago(age)}" if asked.last else "nothing was ever heard of it"
        sentence = f"{peer.name}: {asked.problem}; {last}" if asked.problem else f"{peer.name}: {last}"
        yield Finding(
            "peer-silent",
            severity,
            "",
            peer.name,
            sentence,
            f"look at {peer.name}: is it up, does its timer of `nightdrop check` run, and are address, "
            "certificate and password under [[check.peer]] in mirror.toml right?",
            {"last": asked.last or None, "problem": asked.problem},
        )
