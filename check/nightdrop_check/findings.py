"""Findings: what the check has to say, one fact each, in the same form for every way out."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final, Literal

from nightdrop.text import harmless

Severity = Literal["error", "warning", "info"]
SEVERITIES: Final[tuple[Severity, ...]] = ("error", "warning", "info")

Fact = str | int | float | bool | None | list[str]


@dataclass(frozen=True)
class Finding:
    """One thing the check has to say.

    `code` is one of DESIGN.md's; `host` and `subject` (a set, a file, or "") say where; `sentence` what;
    `hint` what to do, or "". `data` holds the same as facts for programs: sizes in octets, times in
    seconds since the epoch, names made harmless.

    Names in a vault are chosen by strangers. Rules make them harmless where they put them into a
    sentence; whatever a rule forgot is made harmless here, so no finding can carry anything else.
    """

    code: str
    severity: Severity
    host: str
    subject: str
    sentence: str
    hint: str = ""
    data: dict[str, Fact] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("host", "subject", "sentence", "hint"):
            object.__setattr__(self, name, printable(getattr(self, name)))
        object.__setattr__(self, "data", {key: _fact(value) for key, value in self.data.items()})


def printable(text: str) -> str:
    """The text, harmless; what has been made harmless before stays as it is."""
    return text if text.isprintable() else harmless(text, 2000)


def sort(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Worst first, then by host, code and subject."""

    def order(finding: Finding) -> tuple[int, str, str, str]:
        return SEVERITIES.index(finding.severity), finding.host, finding.code, finding.subject

    return tuple(sorted(findings, key=order))


def _fact(value: Fact) -> Fact:
    if isinstance(value, str):
        return printable(value)
    if isinstance(value, list):
        return [printable(item) for item in value]
    return value
