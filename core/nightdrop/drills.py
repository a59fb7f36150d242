"""The record of a drill: that backups were restored by way of trial, when, and how it went.

Made where the key is, put into the mirror's state, read by the check (FORMAT.md, "Drills"). It lies on
the mirror in the clear, so it holds no name of a file.
"""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from nightdrop.errors import NightdropError
from nightdrop.names import format_time, is_host_name

FORMAT: Final = "nightdrop-drill/1"
FOLDER: Final = "drills"
"""The folder in a mirror's state that holds such records."""

_LONGEST: Final = 4 * 1024 * 1024


@dataclass(frozen=True)
class DrilledHost:
    """One host, or one kind of its sets: the set, how many files were restored and how many of them were
    what had been backed up, their octets, and the seconds it took.
    """

    host: str
    set: str
    files: int
    good: int
    size: int
    seconds: float


@dataclass(frozen=True)
class Drill:
    """A drill that began `at` (epoch seconds)."""

    at: float
    hosts: tuple[DrilledHost, ...]

    @property
    def files(self) -> int:
        """How many files were restored."""
        return sum(host.files for host in self.hosts)

    @property
    def good(self) -> int:
        """How many of them were what had been backed up."""
        return sum(host.good for host in self.hosts)

    @property
    def size(self) -> int:
        """Their octets."""
        return sum(host.size for host in self.hosts)

    @property
    def seconds(self) -> float:
        """How long it took."""
        return sum(host.seconds for host in self.hosts)

    @property
    def passed(self) -> bool:
        """Whether everything was what it had been."""
        return self.good == self.files

    @property
    def name(self) -> str:
        """The name of its record."""
        return f"drill-{format_time(datetime.fromtimestamp(self.at, UTC))}.json"

    def to_bytes(self) -> bytes:
        """The record."""
        fields = {
            "format": FORMAT,
            "at": _rfc3339(self.at),
            "hosts": [asdict(host) for host in self.hosts],
        }
        return (json.dumps(fields, indent=1) + "\n").encode()


def parse_drill(octets: bytes) -> Drill:
    """Read a record; NightdropError if it is none."""
    try:
        fields = json.loads(octets)
        if fields["format"] != FORMAT:
            raise NightdropError(f"its format is not {FORMAT}")
        at = datetime.strptime(fields["at"], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC).timestamp()
        return Drill(at, tuple(_host(each) for each in fields["hosts"]))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, OverflowError) as error:
        raise NightdropError("it is no record of a drill") from error


def load_drills(folder: Path) -> tuple[list[Drill], list[str]]:
    """The drills in a folder, oldest first, and what is in there and cannot be read, in words."""
    drills, troubles = [], []
    for path in _records(folder):
        try:
            with path.open("rb") as file:
                drills.append(parse_drill(file.read(_LONGEST)))
        except (NightdropError, OSError) as error:
            why = error.message if isinstance(error, NightdropError) else error.strerror
            troubles.append(f"{path}: {why}")
    return sorted(drills, key=lambda drill: drill.at), troubles


def _records(folder: Path) -> Iterable[Path]:
    try:
        return sorted(path for path in folder.iterdir() if path.suffix == ".json")
    except FileNotFoundError:
        return []


def _host(fields: dict[str, object]) -> DrilledHost:
    host = DrilledHost(**fields)  # type: ignore[arg-type]
    numbers = (host.files, host.good, host.size)
    if not is_host_name(host.host) or not isinstance(host.set, str) or len(host.set) > 200:
        raise ValueError(fields)
    if not all(isinstance(number, int) and 0 <= number < 2**63 for number in numbers):
        raise ValueError(fields)
    if (
        not isinstance(host.seconds, int | float)
        or not 0 <= host.seconds < 2**40
        or host.good > host.files
    ):
        raise ValueError(fields)
    return host


def _rfc3339(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
