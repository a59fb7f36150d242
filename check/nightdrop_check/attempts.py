"""Trying to look: whatever goes wrong in it becomes a finding, and the check goes on."""

from collections.abc import Callable, Iterator
from typing import Final, TypeVar

from nightdrop.errors import NightdropError
from nightdrop_check.findings import Finding, Severity, printable
from nightdrop_check.rules.could_not_look import HINT
from nightdrop_check.store import NotKeptError

_T = TypeVar("_T")

_MOST: Final = 100
"""How many findings one rule may have on one host: nobody reads more, and a stranger could make them."""


def attempt(look: Callable[[], _T], findings: list[Finding], host: str = "") -> _T | None:
    """What `look` tells, or None and a finding. NotKeptError is no failure to look: it goes on up."""
    try:
        return look()
    except NotKeptError:
        raise
    except NightdropError as error:
        findings.append(could_not_look(error.message, error.hint, host))
    except OSError as error:
        findings.append(could_not_look(str(error), host=host))
    return None


def apply(
    rule: Callable[[_T], Iterator[Finding]], seen: _T, findings: list[Finding], host: str = ""
) -> None:
    """Add what a rule finds, up to a limit; that it could not look is a finding, too."""
    try:
        for number, finding in enumerate(rule(seen)):
            if number == _MOST:
                rest = f"{finding.code}: more than {_MOST} of these; the others are not told"
                findings.append(Finding(finding.code, "error", finding.host, "", rest))
                break
            findings.append(finding)
    except (NightdropError, OSError, ValueError) as error:
        name = rule.__module__.rpartition(".")[2].replace("_", "-")
        findings.append(could_not_look(f"the rule {name} could not look: {error}", host=host))


def could_not_look(
    sentence: str, hint: str = "", host: str = "", severity: Severity = "error"
) -> Finding:
    """The finding that something could not be looked at."""
    return Finding("could-not-look", severity, host, "", printable(sentence), hint or HINT)
