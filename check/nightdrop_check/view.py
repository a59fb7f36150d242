"""What a rule gets to see: one host at a time, so that a mirror of any size fits into memory."""

from dataclasses import dataclass
from functools import cached_property

from nightdrop.enrolment import EnrolledHost
from nightdrop.mirror import Mirror
from nightdrop_check.completeness import Standing, standings
from nightdrop_check.contents import Contents
from nightdrop_check.shelf import Shelf


@dataclass(frozen=True)
class View:
    """An enrolled host, what it has on the shelf, what is in it, and the time (epoch seconds)."""

    mirror: Mirror
    enrolled: EnrolledHost
    shelf: Shelf
    contents: Contents
    now: float

    @cached_property
    def standings(self) -> list[Standing]:
        """How far each of its sets got."""
        return standings(self.shelf, self.now)

    @property
    def host(self) -> str:
        """The host's name."""
        return self.shelf.host


@dataclass(frozen=True)
class House:
    """The mirror as a whole: the folders in its vault, what lies beside them, who is enrolled."""

    mirror: Mirror
    folders: tuple[str, ...]
    strays: tuple[str, ...]
    enrolled: frozenset[str]
