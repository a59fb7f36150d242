"""Whose block is next: the work on bodies is shared out by host, however many uploads each has.

Only so many blocks are worked on at once. Where more wait, the host that had least gets the next turn
(start-time fair queueing: a host that was idle is owed nothing for that), so fifty uploads of one
host get together what a single one of another gets. Waiting for a client is no part of a turn.
"""

import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from typing import Final, NamedTuple

_REST: Final = 0.01


class Share(NamedTuple):
    """One host's share. `turn` gives a turn at the processors and the disk for a block of so many octets:
    waits for it, and says whether a processor is left over. `rest` lets others work.
    """

    turn: Callable[[int], AbstractContextManager[bool]]
    rest: Callable[[], None]


class Shares:
    """What hosts share, for all threads: turns, as many at once as there are processors; and rests, one
    at a time, so that all bodies in small chunks together get a part of one processor.
    """

    def __init__(self) -> None:
        self._turns = FairTurns()
        self._rests = FairTurns(1)

    def of(self, host: str) -> Share:
        """A host's share."""
        return Share(partial(self._turns.one, host), partial(self._rest, host))

    def _rest(self, host: str) -> None:
        with self._rests.one(host, 1):
            time.sleep(_REST)


class FairTurns:
    """Turns at something of which there are so many at once."""

    def __init__(self, at_once: int | None = None) -> None:
        self._lock = threading.Lock()
        self._free = at_once or os.cpu_count() or 1
        # In octets: where the turn given last began, and where each host's next one may begin.
        self._now = 0
        self._next: dict[str, int] = {}
        self._waiting: dict[str, deque[tuple[threading.Lock, int]]] = {}

    @contextmanager
    def one(self, host: str, octets: int) -> Iterator[bool]:
        """A host's turn at a block of so many octets; waits for it. Whether a processor is left over."""
        gate = self._ask(host, octets)
        if gate is not None:
            gate.acquire()
        try:
            yield self._free > 0
        finally:
            self._pass_on()

    def _ask(self, host: str, octets: int) -> "threading.Lock | None":
        """None if it may begin at once, else a lock that is released when it may."""
        with self._lock:
            if self._free:
                self._free -= 1
                self._begin(host, octets)
                return None
            gate = threading.Lock()
            gate.acquire()
            self._waiting.setdefault(host, deque()).append((gate, octets))
            return gate

    def _pass_on(self) -> None:
        with self._lock:
            if not self._waiting:
                self._free += 1
                return
            host = min(self._waiting, key=self._start)
            queue = self._waiting[host]
            gate, octets = queue.popleft()
            if not queue:
                del self._waiting[host]
            self._begin(host, octets)
            gate.release()

    def _start(self, host: str) -> int:
        return max(self._now, self._next.get(host, 0))

    def _begin(self, host: str, octets: int) -> None:
        self._now = self._start(host)
        self._next[host] = self._now + octets
