"""What is new since anybody was told: errors that were not there before, and errors that are over."""

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from nightdrop.names import parse_name
from nightdrop.text import harmless
from nightdrop_check.findings import Finding
from nightdrop_check.memory import Memory

_MARK: Final = "told"
_DARK: Final = "could-not-look"
_OF_MANY: Final = ("clock-skew", "unsigned")
"""Their subject is the last of all the sets that they are about, another one every night."""
_EVENTS: Final = ("shrunk", "grown")
"""They are told for a week and then no more, which does not say that anything was mended."""


@dataclass(frozen=True)
class News:
    """Errors that are new, and, in words, those that are over."""

    new: tuple[Finding, ...]
    over: tuple[str, ...]

    def __bool__(self) -> bool:
        return bool(self.new or self.over)


def news(memory: Memory, findings: Sequence[Finding]) -> News:
    """What somebody who knows what was told last does not know yet."""
    told, errors = _told(memory), _errors(findings)
    unseen = _unseen(told, findings)
    over = [
        words
        for error, words in told.items()
        if error not in errors and error not in unseen and json.loads(error)[1] not in _EVENTS
    ]
    return News(tuple(each for error, each in errors.items() if error not in told), tuple(over))


def remember_told(memory: Memory, findings: Sequence[Finding]) -> None:
    """Remember that these were told."""
    told = _told(memory)
    unseen = {error: told[error] for error in _unseen(told, findings)}
    new = {error: _words(finding) for error, finding in _errors(findings).items()}
    memory.set_mark(_MARK, json.dumps(unseen | new))


def _told(memory: Memory) -> dict[str, str]:
    """The errors that were told, and not that they are over, in words."""
    told: dict[str, str] = json.loads(memory.mark(_MARK) or "{}")
    return told


def _errors(findings: Iterable[Finding]) -> dict[str, Finding]:
    return {_identity(finding): finding for finding in findings if finding.severity == "error"}


def _unseen(told: Iterable[str], findings: Iterable[Finding]) -> set[str]:
    """Those errors of which nobody knows whether they are over: of what could not be looked at now."""
    dark = {finding.host for finding in findings if finding.code == _DARK}
    where = {error: json.loads(error)[:2] for error in told}
    return {e for e, (host, code) in where.items() if code != _DARK and ("" in dark or host in dark)}


def _identity(finding: Finding) -> str:
    """What stays the same from day to day: not the sentence, in which an age may be."""
    what = finding.subject
    if finding.code in _OF_MANY:
        what = ""
    elif finding.code == _DARK and not what:
        what = re.sub(r"\d+", "", finding.sentence)
    elif (parsed := parse_name(what)) is not None:
        # As soon as a second file of a set is found damaged, the finding is of the set.
        what = parsed.set.stem
    return json.dumps([finding.host, finding.code, what])


def _words(finding: Finding) -> str:
    where = f"{finding.host}: " if finding.host else ""
    return harmless(f"{where}{finding.code}: {finding.sentence}", 300)
