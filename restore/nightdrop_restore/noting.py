"""How a restore goes, as both processes tell it: noted down, and shown while it goes on."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from nightdrop.engine.events import Event
from nightdrop_restore.items import Index, shown
from nightdrop_restore.reasons import Reasons

_INTERVAL = 0.1


@dataclass
class Restored:
    """How a restore goes, and in the end went: `files` and `octets` written, `read` octets from the
    vault in `seconds`; what duplicity warned of; the paths that are not what they were and those
    that could not be restored, with the reasons; the places, of those chosen, whose sources failed when
    the backup was made; and what another vault than the first gave, in words.
    """

    files: int = 0
    octets: int = 0
    read: int = 0
    seconds: float = 0.0
    warnings: list[str] = field(default_factory=list)
    unlike: Reasons = field(default_factory=Reasons)
    unrestored: Reasons = field(default_factory=Reasons)
    failed_sources: list[str] = field(default_factory=list)
    elsewhere: list[str] = field(default_factory=list)


OnProgress = Callable[[Restored], object]


class Notes:
    """Takes what the reading process tells (`hear`), and what a writer does, which may be in a thread.

    The writer writes what was in the folder `below` on the host; here, all paths are those on the host.
    """

    def __init__(self, done: Restored, on_progress: OnProgress, below: Index = ()) -> None:
        self._done = done
        self._on_progress = on_progress
        self._below = below
        self._lock = threading.Lock()
        self._shown = time.monotonic()

    def hear(self, event: Event) -> None:
        """The reading process told this."""
        if event.kind == "fetched":
            self._done.read += event.octets
            self._show()
        elif event.kind == "elsewhere":
            self.elsewhere(event.text)
        elif event.kind == "unrestored":
            self._done.unrestored.note(event.text, event.reason)

    def elsewhere(self, text: str) -> None:
        """Another vault than the first gave something."""
        self._done.elsewhere.append(text)

    def written(self, octets: int) -> None:
        """One thing more was written."""
        self._done.files += 1
        self._done.octets += octets
        if time.monotonic() - self._shown > _INTERVAL:
            self._show()

    def left(self, index: Index, reason: str) -> None:
        """A thing was not written."""
        self._done.unrestored.note(shown((*self._below, *index)), reason)

    def unlike(self, index: Index, reason: str) -> None:
        """A thing is not quite what it was."""
        self._done.unlike.note(shown((*self._below, *index)), reason)

    def _show(self) -> None:
        with self._lock:
            self._shown = time.monotonic()
            self._on_progress(self._done)
