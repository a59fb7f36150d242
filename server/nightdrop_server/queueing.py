"""Who waits for a password to be worked out, which is meant to take long.

Guessers must neither hold all of the door's threads nor take every place in the queue: a host that the
door does not remember yet has to get its turn. So whose network has somebody there already queues behind
the others of that kind, one of whom is let through at a time; and where it is crowded, there is still a
place for each network that has none.
"""

import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from http import HTTPStatus
from ipaddress import IPv6Address, ip_address, ip_network
from typing import Final

from nightdrop_server.answers import Refused

_CROWDED: Final = 64
MOST_WAITING: Final = 128
"""How many may wait together, each in a thread."""

_AT_WORK: Final = 2
_PATIENCE: Final = 10.0


class Queue:
    """Places for those who ask, `at_work` of whom have a turn at once; safe to share between threads."""

    def __init__(self, at_work: int = _AT_WORK) -> None:
        self._lock = threading.Lock()
        self._places: Counter[str] = Counter()
        self._crowd = threading.BoundedSemaphore(1)
        self._working = threading.BoundedSemaphore(at_work)

    @contextmanager
    def turn(self, address: str) -> Iterator[None]:
        """Wait for a turn; Refused (503) where there is no place, or it takes too long."""
        network = network_of(address)
        with self._lock:
            own, all_of_them = self._places[network], self._places.total()
            if all_of_them >= (_CROWDED if own else MOST_WAITING):
                raise _busy()
            self._places[network] += 1
        try:
            with ExitStack() as held:
                until = time.monotonic() + _PATIENCE
                for semaphore in (self._crowd, self._working) if own else (self._working,):
                    if not semaphore.acquire(timeout=max(until - time.monotonic(), 0)):
                        raise _busy()
                    held.callback(semaphore.release)
                yield
        finally:
            with self._lock:
                self._places[network] -= 1
                if not self._places[network]:
                    del self._places[network]


def network_of(address: str) -> str:
    """What one customer has: an IPv4 address, or all IPv6 addresses that begin with the same 64 bits."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return address
    if isinstance(parsed, IPv6Address):
        return str(ip_network((int(parsed), 64), strict=False))
    return address


def _busy() -> Refused:
    return Refused(
        HTTPStatus.SERVICE_UNAVAILABLE,
        "too many passwords are being checked, try again later",
        (("Retry-After", "10"),),
    )
