"""The report: all that one look at a mirror told, as facts. The ways out only dress it."""

from dataclasses import dataclass
from typing import Final, Literal

from nightdrop.drills import Drill
from nightdrop.text import count
from nightdrop_check.findings import Finding, Severity
from nightdrop_check.key_use import KeyUse
from nightdrop_check.memory import Coverage
from nightdrop_check.room import Room

State = Literal["well", "waiting", "warning", "error"]

_WORST_FIRST: Final[tuple[State, ...]] = ("error", "warning", "waiting", "well")

RECENT: Final = 32
"""How many of a host's sets a chart shows."""


@dataclass(frozen=True)
class SetSize:
    """A finished set for a chart: size in octets, and when it came (epoch seconds)."""

    stem: str
    type: str
    size: int
    received: float


@dataclass(frozen=True)
class HostSummary:
    """One enrolled host; it is "waiting" while it has dropped nothing yet and need not have.

    Times of receipt are epoch seconds, None where there is no finished set; `sets` are finished ones;
    `size` is all it has in the vault, `newest_size` its newest set, and `usual_size` what is usual of
    such a set, in octets; `recent` goes oldest first.
    """

    name: str
    state: State
    codes: tuple[str, ...]
    newest_full: float | None
    newest_set: float | None
    sets: int
    files: int
    size: int
    newest_size: int | None
    usual_size: int | None
    recent: tuple[SetSize, ...]


@dataclass(frozen=True)
class Report:
    """What the check of a mirror told at a time (epoch seconds). `verified_files` and `verified_size`
    (octets) say how much was read to the last byte in this look, `coverage` how much in the last 30 days;
    `drill` is the last that is on record, `keys` what each recipient's key is needed for.
    """

    mirror: str
    at: float
    hosts: tuple[HostSummary, ...]
    findings: tuple[Finding, ...]
    verified_files: int
    verified_size: int
    coverage: Coverage | None
    room: Room | None
    drill: Drill | None = None
    keys: tuple[KeyUse, ...] = ()

    def number_of(self, severity: Severity) -> int:
        """How many findings there are of a severity."""
        return sum(finding.severity == severity for finding in self.findings)

    @property
    def worst_first(self) -> tuple[HostSummary, ...]:
        """The hosts as somebody wants to see them who has little time."""
        return tuple(sorted(self.hosts, key=lambda host: _WORST_FIRST.index(host.state)))

    @property
    def well(self) -> str:
        """How many hosts are well: `7 of 8 hosts well`."""
        if not self.hosts:
            return "no host is enrolled"
        well = sum(host.state in ("well", "warning") for host in self.hosts)
        text = f"{well} of {count(len(self.hosts), 'host')} well"
        if waiting := sum(host.state == "waiting" for host in self.hosts):
            text += f", {waiting:,} waiting for {'its' if waiting == 1 else 'their'} first backup"
        return text

    @property
    def headline(self) -> str:
        """The report in one line: `backup.example.org: 7 of 8 hosts well, 2 errors`."""
        parts = [self.well]
        parts += [
            count(number, noun) for noun in ("error", "warning") if (number := self.number_of(noun))
        ]
        return f"{self.mirror}: {', '.join(parts)}"
