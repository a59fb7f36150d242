"""How many requests a host may have under way, so that a broken or bad one leaves room for the others."""

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from typing import Final

from nightdrop_server.answers import Refused

AT_ONCE: Final = 32
"""A sixth of the door's threads. Our client sends two or three files at a time."""


class Turns:
    """Counts each host's requests; safe to share between threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._taken: Counter[str] = Counter()

    @contextmanager
    def one(self, host: str) -> Iterator[None]:
        """One request of a host; Refused (503) if it has too many already."""
        with self._lock:
            if self._taken[host] >= AT_ONCE:
                raise Refused(
                    HTTPStatus.SERVICE_UNAVAILABLE,
                    f"{host} has {AT_ONCE} requests under way already",
                    (("Retry-After", "10"),),
                )
            self._taken[host] += 1
        try:
            yield
        finally:
            with self._lock:
                self._taken[host] -= 1
