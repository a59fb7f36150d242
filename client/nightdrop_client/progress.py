"""A run's progress for people: what was read, what each mirror has taken, since when."""

import time

from nightdrop.engine.events import Event
from nightdrop.progress import ProgressLine
from nightdrop.text import count, format_duration, format_size


class RunProgress:
    """Adds up events and draws them."""

    def __init__(self, line: ProgressLine, mirrors: list[str]) -> None:
        self._line = line
        self._begun = time.monotonic()
        self._files = 0
        self._octets = 0
        self.sent = dict.fromkeys(mirrors, 0)
        self.volumes = 0

    def see(self, event: Event) -> None:
        """Take one more event into account."""
        match event.kind:
            case "scanned":
                self._files, self._octets = event.files, event.octets
            case "sent":
                self.sent[event.mirror] = self.sent.get(event.mirror, 0) + event.octets
            case "dropped":
                self.volumes += ".vol" in event.text
        self._draw()

    def _draw(self) -> None:
        mirrors = ", ".join(f"{name} {format_size(octets)}" for name, octets in self.sent.items())
        self._line.show(
            f"{format_duration(time.monotonic() - self._begun)}: "
            f"read {count(self._files, 'file')}, {format_size(self._octets)}; sent to {mirrors}"
        )
