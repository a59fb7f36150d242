"""What a rule gets to see: one host at a time, so that a mirror of any size fits into memory."""

from dataclasses import dataclass
from functools import cached_property

from nightdrop.checking import Expected
from nightdrop.drills import Drill
from nightdrop.enrolment import EnrolledHost
from nightdrop.ledger import Refusals
from nightdrop.mirror import Mirror
from nightdrop_check.completeness import Standing, standings
from nightdrop_check.contents import Contents
from nightdrop_check.inventory import Inventory
from nightdrop_check.memory import Coverage
from nightdrop_check.oddities import oddities
from nightdrop_check.peers import Asked
from nightdrop_check.room import Room
from nightdrop_check.shelf import DELAY, Shelf, ShelfSet, is_ahead
from nightdrop_check.usual import Odd


@dataclass(frozen=True)
class View:
    """An enrolled host, what it has on the shelf, what is in it, what was refused to it lately, and the
    time (epoch seconds).
    """

    mirror: Mirror
    enrolled: EnrolledHost
    shelf: Shelf
    contents: Contents
    refused: Refusals | None
    now: float

    @cached_property
    def standings(self) -> list[Standing]:
        """How far each of its sets got."""
        return standings(self.shelf, self.now)

    @cached_property
    def oddities(self) -> list[Odd]:
        """Which of its latest sets are unusual."""
        return oddities(self.shelf, self.mirror.check, self.now)

    @cached_property
    def in_time(self) -> list[ShelfSet]:
        """Its finished sets, but for those whose names were of a time to come when they came: one of them
        makes up for nothing.
        """
        return [each for each in self.shelf.done if not is_ahead(each.key, each.received + DELAY)]

    @property
    def host(self) -> str:
        """The host's name."""
        return self.shelf.host

    def settings(self, kind: str) -> Expected:
        """What is expected of its sets of a kind."""
        if kind not in self._settings:
            self._settings[kind] = self.mirror.check.expected(self.host, kind)
        return self._settings[kind]

    @cached_property
    def _settings(self) -> dict[str, Expected]:
        return {}


@dataclass(frozen=True)
class House:
    """The mirror as a whole: the folders in its vault, what lies beside them, who is enrolled; the room
    on its disk, how much was read lately; the last drill (None: there was none), when the check began;
    when its newest file came, and how many octets in the last week; other mirrors, and what to compare
    with them. None stands for what could not be looked at.
    """

    mirror: Mirror
    folders: tuple[str, ...]
    strays: tuple[str, ...]
    enrolled: frozenset[str]
    room: Room | None
    coverage: Coverage | None
    drill: Drill | None
    begun: float
    newest: float
    came_lately: int
    now: float
    peers: tuple[Asked, ...] = ()
    inventory: Inventory | None = None
