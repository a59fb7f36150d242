"""What a run has made of its sources: what the duplicity process is to read, and where it is kept."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Final

ROOT: Final = "/.nightdrop"
"""The place in a set that takes what has no path on the host."""

FAILED_SUFFIX: Final = ".failed"
"""What is added to a source's place for the file that says why it failed."""


@dataclass(frozen=True)
class Stream:
    """A command whose output is kept as a file at `place`. `environment` is all that it gets to see
    besides its secrets; `ends_with` is a text that has to stand at the end of a whole output, "" for
    none; `patience` is in seconds.
    """

    place: str
    command: list[str]
    environment: dict[str, str]
    ends_with: str
    patience: int


@dataclass(frozen=True)
class Tree:
    """A folder that is kept at `place`, wherever it is on the host."""

    place: str
    folder: str


@dataclass(frozen=True)
class View:
    """A folder that is read from its snapshot, which is mounted at `snapshot`, under its own path."""

    folder: str
    snapshot: str


@dataclass
class Ready:
    """All of it. `failed` are the places of the sources that failed already, and why."""

    streams: list[Stream] = field(default_factory=list)
    trees: list[Tree] = field(default_factory=list)
    views: list[View] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)

    def as_json(self) -> dict[str, object]:
        """For the job file."""
        return asdict(self)


def read_ready(fields: Mapping[str, Any]) -> Ready:
    """Out of the job file."""
    return Ready(
        [Stream(**one) for one in fields["streams"]],
        [Tree(**one) for one in fields["trees"]],
        [View(**one) for one in fields["views"]],
        dict(fields["failed"]),
    )
