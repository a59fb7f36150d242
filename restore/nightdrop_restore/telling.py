"""What the writing process tells of its work: little by little what was written, and all that was not."""

import time

from nightdrop.engine.events import Event, EventWriter
from nightdrop_restore.losing import shown
from nightdrop_restore.writing import Index

_INTERVAL = 0.1


class Teller:
    """Turns what a writer tells into events; what was written is told a few times a second."""

    def __init__(self, events: EventWriter) -> None:
        self._events = events
        self._files = self._octets = 0
        self._told = time.monotonic()

    def written(self, octets: int) -> None:
        """One thing more was written."""
        self._files += 1
        self._octets += octets
        if time.monotonic() - self._told > _INTERVAL:
            self.flush()

    def left(self, index: Index, reason: str) -> None:
        """A thing was not written."""
        self._events.tell(Event("unrestored", shown(index), reason))

    def unlike(self, index: Index, reason: str) -> None:
        """A thing is not quite what it was."""
        self._events.tell(Event("unlike", shown(index), reason))

    def flush(self) -> None:
        """Tell what was not told yet."""
        self._told = time.monotonic()
        if self._files:
            self._events.tell(Event("written", files=self._files, octets=self._octets))
        self._files = self._octets = 0
