"""A run's progress for people: a bar on a terminal, now and then a line in a journal."""

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from nightdrop.engine.events import Event
from nightdrop.progress import ProgressLine
from nightdrop.text import count, format_duration, format_size, harmless

Say = Callable[[str], object]

_BAR: Final = 20
_FIRST_LINE: Final = 60.0
_LONGEST_PAUSE: Final = 900.0
_SPEED_SPAN: Final = 10.0


@dataclass(frozen=True)
class Expected:
    """How much there was the last time: octets that were looked at, or those that were stored, whichever
    tells how far a set of this type is. 0 for what is not known.
    """

    looked_at: int = 0
    stored: int = 0

    def share(self, looked_at: int, sent: int) -> float:
        """How much of it is done, from 0 to 1; 0 if that cannot be told."""
        if self.stored:
            return sent / self.stored
        return looked_at / self.looked_at if self.looked_at else 0.0


class RunProgress:
    """Adds up events, draws them on a terminal, and says to a journal what it should know of them.

    Lines in a journal come after a minute, and then ever more seldom; how mirrors do is said at once.
    """

    def __init__(
        self,
        line: ProgressLine,
        mirrors: list[str],
        expected: Expected,
        say: Say,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._line = line
        self._expected = expected
        self._say = say
        self._clock = clock
        self._begun = clock()
        self._next_line = self._begun + _FIRST_LINE
        self._pause = _FIRST_LINE
        self._files = 0
        self._octets = 0
        self._sent = dict.fromkeys(mirrors, 0)
        self._failing: set[str] = set()
        self._recent: deque[tuple[float, int]] = deque([(self._begun, 0)])
        self.volumes = 0

    def see(self, event: Event) -> None:
        """Take one more event into account."""
        match event.kind:
            case "scanned":
                self._files, self._octets = event.files, event.octets
            case "sent":
                self._sent[event.mirror] = self._sent.get(event.mirror, 0) + event.octets
            case "dropped":
                self.volumes += ".vol" in event.text
            case "waiting":
                self._note(event.mirror, event.text)
        now = self._clock()
        while len(self._recent) > 1 and now - self._recent[0][0] > _SPEED_SPAN:
            self._recent.popleft()
        self._recent.append((now, sum(self._sent.values())))
        self._line.show("  ".join(self._parts(now)))
        if not self._line.shown and now >= self._next_line:
            self._say("so far: " + ", ".join(self._parts(now)))
            self._pause = min(2 * self._pause, _LONGEST_PAUSE)
            self._next_line = now + self._pause

    def _note(self, mirror: str, why: str) -> None:
        self._line.clear()
        if why:
            self._failing.add(mirror)
            self._say(f"the mirror {mirror} fails: {harmless(why)}")
        else:
            self._failing.discard(mirror)
            self._say(f"the mirror {mirror} is back")

    def _parts(self, now: float) -> list[str]:
        """What there is to say, what matters most first."""
        elapsed = now - self._begun
        share = self._expected.share(self._octets, max(self._sent.values(), default=0))
        known = 0.02 < share < 1
        parts = [format_duration(elapsed)]
        if known:
            parts.append(f"about {format_duration(elapsed * (1 - share) / share)} left")
        parts.append(f"{count(self._files, 'file')} {format_size(self._octets)}")
        parts.append(count(self.volumes, "volume"))
        (then, before), (_, after) = self._recent[0], self._recent[-1]
        if now > then:
            parts.append(f"{format_size(round((after - before) / (now - then)))}/s")
        parts += [
            f"{name} {'fails' if name in self._failing else format_size(octets)}"
            for name, octets in self._sent.items()
        ]
        if self._line.shown and known:
            parts.insert(0, f"[{'=' * round(_BAR * share):{_BAR}}] {share:.0%}")
        return parts
