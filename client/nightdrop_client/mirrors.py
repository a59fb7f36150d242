"""Dropping a file on every mirror at once: tries again, within bounds, and leaves a dead mirror alone.

A mirror is believed in one thing only: its answer to our PUT. One mirror is enough for a run to go on.
What a failing mirror costs a run is counted from the moment when another one has the file: that may be
`grace` seconds in all. When none answers (the network is gone, the last mirror reboots), each is waited
for as long as patience lasts.
"""

import hashlib
import math
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from nightdrop.enrolment import BundleMirror
from nightdrop.errors import NightdropError
from nightdrop.receipts import ReceiptFile
from nightdrop_client.door import Door, RefusedError, UnreachableError
from nightdrop_client.limits import Limits, Pace

GREETING: Final = 10.0
"""Seconds that a mirror may be away when a run begins, before it counts as dead."""

_ANSWER_TIMEOUT: Final = 60.0
_FIRST_DELAY: Final = 0.5
_LONGEST_DELAY: Final = 10.0

OnBytes = Callable[[str, int], None]
"""Told of each piece sent: the mirror's name and the number of octets."""

OnState = Callable[[str, str], None]
"""Told when a mirror begins to fail, and why, and when it is back: the mirror's name, and why or ""."""


class NoMirrorLeftError(NightdropError):
    """Every mirror has failed in this run."""


@dataclass
class _Mirror:
    """One mirror in one run. `failure` says why it is dead, "" while it lives; `failing` whether it is
    being waited for; `cost` and `outage` are seconds, see `Mirrors._gives_up`.
    """

    name: str
    door: Door
    failure: str = ""
    failing: bool = False
    cost: float = 0.0
    outage: float = 0.0


@dataclass
class _Turn:
    """One thing that all mirrors are asked at once. `taken` is when the first one had done it, by the
    monotonic clock; `grace` and `patience` are in seconds.
    """

    act: Callable[[_Mirror, float], None]
    grace: float
    patience: float
    taken: float = field(default=math.inf)


class Mirrors:
    """All mirrors of a host, in one run."""

    def __init__(
        self,
        host: str,
        mirrors: tuple[BundleMirror, ...],
        limits: Limits,
        patience: float,
        *,
        on_bytes: OnBytes = lambda _mirror, _octets: None,
        on_state: OnState = lambda _mirror, _why: None,
    ) -> None:
        """`patience` is in seconds."""
        self._host = host
        self._grace = limits.grace
        self._patience = patience
        self._on_bytes = on_bytes
        self._on_state = on_state
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._mirrors = [_Mirror(facts.name, Door(host, facts, Pace(limits))) for facts in mirrors]
        self._pool = ThreadPoolExecutor(len(self._mirrors), thread_name_prefix="mirror")

    @property
    def failures(self) -> dict[str, str]:
        """The dead mirrors, and what each died of."""
        return {mirror.name: mirror.failure for mirror in self._mirrors if mirror.failure}

    @property
    def living(self) -> list[str]:
        """The names of the mirrors that are not dead."""
        return [mirror.name for mirror in self._mirrors if not mirror.failure]

    def bury(self, failures: dict[str, str]) -> None:
        """Take these mirrors for dead, because another part of the run saw them fail."""
        for mirror in self._mirrors:
            mirror.failure = mirror.failure or failures.get(mirror.name, "")

    def greet(self) -> None:
        """Ask every living mirror whether it is there and takes our password; mark those that are not.

        Raises NoMirrorLeftError if none is.
        """

        def options(mirror: _Mirror, patience: float) -> None:
            mirror.door.greet(patience)

        turn = _Turn(options, min(GREETING, self._grace), min(GREETING, self._patience))
        self._all(turn, [mirror for mirror in self._mirrors if not mirror.failure])

    def drop(
        self, path: Path, name: str, only: Sequence[str] | None = None
    ) -> tuple[ReceiptFile, list[str]]:
        """Put a file on every living mirror (of `only`) under this name; its facts, and who took it.

        Returns when each mirror has taken it or is dead; raises NoMirrorLeftError if all are dead.
        """
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").digest()
        facts = ReceiptFile(name, path.stat().st_size, digest.hex())
        living = [
            mirror
            for mirror in self._mirrors
            if not mirror.failure and (only is None or mirror.name in only)
        ]

        def put(mirror: _Mirror, patience: float) -> None:
            mirror.door.put(path, facts, patience, lambda octets: self._on_bytes(mirror.name, octets))

        self._all(_Turn(put, self._grace, self._patience), living)
        return facts, [mirror.name for mirror in living if not mirror.failure]

    def close(self) -> None:
        """Close the connections; nobody waits for a mirror any more, though a run was interrupted."""
        self._closing.set()
        self._pool.shutdown(wait=False, cancel_futures=True)
        for mirror in self._mirrors:
            mirror.door.close()

    def _all(self, turn: _Turn, mirrors: Sequence[_Mirror]) -> None:
        list(self._pool.map(lambda mirror: self._persist(mirror, turn), mirrors))
        if not self.living:
            reasons = "; ".join(f"{name}: {why}" for name, why in self.failures.items())
            raise NoMirrorLeftError(
                f"no mirror takes the backups of {self._host} ({reasons})",
                "nothing is lost; see whether the mirrors run and are reached, then run again",
            )

    def _persist(self, mirror: _Mirror, turn: _Turn) -> None:
        """Act, again and again within bounds; mark the mirror as dead if it comes to nothing."""
        delay = _FIRST_DELAY
        while True:
            begun = time.monotonic()
            try:
                turn.act(mirror, self._longest_silence(mirror, turn))
            except RefusedError as error:
                mirror.failure = str(error)
                return
            except UnreachableError as error:
                if self._gives_up(mirror, turn, begun, delay):
                    mirror.failure = str(error)
                    return
                if not mirror.failing:
                    mirror.failing = True
                    self._on_state(mirror.name, str(error))
            else:
                self._has_done(mirror, turn)
                return
            if self._closing.wait(delay):
                return
            delay = min(2 * delay, _LONGEST_DELAY)

    def _longest_silence(self, mirror: _Mirror, turn: _Turn) -> float:
        """How many seconds a mirror may be silent while it is asked."""
        # Not bounded by patience: that is for mirrors that are away, and a slow one is not.
        left = turn.grace - mirror.cost if self._others_answer(mirror) else _ANSWER_TIMEOUT
        return min(_ANSWER_TIMEOUT, max(left, 1))

    def _gives_up(self, mirror: _Mirror, turn: _Turn, begun: float, delay: float) -> bool:
        """Count an attempt that failed, and the delay before the next; whether that was too much."""
        next_one = time.monotonic() + delay
        if self._others_answer(mirror):
            with self._lock:
                # As long as another one is still at it, a failing one holds nobody up.
                mirror.cost += max(0, next_one - max(begun, turn.taken))
            if mirror.cost <= min(turn.grace, turn.patience):
                return False
            if self._another_greets(mirror):
                return True
            # The others had done their part, and were lost then, too: this one holds nobody up.
            mirror.cost = 0.0
        mirror.outage += next_one - begun
        return mirror.outage > turn.patience

    def _another_greets(self, mirror: _Mirror) -> bool:
        """Whether another one answers now, of those that are not known to fail."""
        for one in self._mirrors:
            if one is mirror or one.failure or one.failing:
                continue
            # A connection of its own: that one's is its own thread's.
            with closing(one.door.another()) as door:
                try:
                    door.greet(GREETING)
                except UnreachableError:
                    continue
                except RefusedError:
                    pass
                return True
        return False

    def _others_answer(self, mirror: _Mirror) -> bool:
        return any(not one.failure and not one.failing for one in self._mirrors if one is not mirror)

    def _has_done(self, mirror: _Mirror, turn: _Turn) -> None:
        with self._lock:
            turn.taken = min(turn.taken, time.monotonic())
        mirror.outage = 0.0
        if mirror.failing:
            mirror.failing = False
            self._on_state(mirror.name, "")
