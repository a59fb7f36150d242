"""What is new since anybody was told: errors that were not there before, and errors that are over."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from nightdrop.text import harmless
from nightdrop_check.findings import Finding
from nightdrop_check.memory import Memory

_MARK: Final = "told"


@dataclass(frozen=True)
class News:
    """Errors that are new, and, in words, those that are over."""

    new: tuple[Finding, ...]
    over: tuple[str, ...]

    def __bool__(self) -> bool:
        return bool(self.new or self.over)


def news(memory: Memory, findings: Iterable[Finding]) -> News:
    """What somebody who knows what was told last does not know yet."""
    told: dict[str, str] = json.loads(memory.mark(_MARK) or "{}")
    errors = {_identity(finding): finding for finding in findings if finding.severity == "error"}
    over = tuple(words for identity, words in told.items() if identity not in errors)
    return News(tuple(finding for identity, finding in errors.items() if identity not in told), over)


def remember_told(memory: Memory, findings: Iterable[Finding]) -> None:
    """Remember that these were told."""
    errors = {_identity(f): _words(f) for f in findings if f.severity == "error"}
    memory.set_mark(_MARK, json.dumps(errors))


def _identity(finding: Finding) -> str:
    # Not the sentence: an age in it is another one every day.
    return json.dumps([finding.host, finding.code, finding.subject])


def _words(finding: Finding) -> str:
    where = f"{finding.host}: " if finding.host else ""
    return harmless(f"{where}{finding.code}: {finding.sentence}", 300)
