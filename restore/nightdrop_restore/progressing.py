"""How far a long job is, and how long it will still take."""

import time

from nightdrop.progress import ProgressLine
from nightdrop.text import count, format_duration, format_size
from nightdrop_restore.noting import Restored

_SETTLED = 2.0
_MEANT = 0.02


class Pace:
    """How long a job of `total` octets will still take, from how long it took so far."""

    def __init__(self, total: int) -> None:
        self.total = total
        self._begun = time.monotonic()

    def left(self, done: int) -> str:
        """In words, `, about 3 min left`; "" while nobody can say."""
        taken = time.monotonic() - self._begun
        if not self.total or taken < _SETTLED or done < self.total * _MEANT or done > self.total:
            return ""
        return f", about {format_duration(taken / done * (self.total - done))} left"


class RestoreProgress:
    """The line while files are restored; `expected` are the octets to be read, 0 if nobody knows."""

    def __init__(self, line: ProgressLine, expected: int) -> None:
        self._line = line
        self._pace = Pace(expected)

    def show(self, done: Restored) -> None:
        """Draw it."""
        of = f" of {format_size(self._pace.total)}" if self._pace.total else ""
        self._line.show(
            f"{count(done.files, 'file')}, {format_size(done.octets)} written; "
            f"{format_size(done.read)}{of} read{self._pace.left(done.read)}"
        )
