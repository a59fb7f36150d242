"""How many requests a host may have under way, so that a broken or bad one leaves room for the others."""

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus

from nightdrop_server.answers import Refused


class Turns:
    """Counts each host's requests, of which it may have `at_once`; safe to share between threads."""

    def __init__(self, at_once: int) -> None:
        self._at_once = at_once
        self._lock = threading.Lock()
        self._taken: Counter[str] = Counter()

    @contextmanager
    def one(self, host: str) -> Iterator[None]:
        """One request of a host; Refused (503) if it has too many already."""
        with self._lock:
            if self._taken[host] >= self._at_once:
                raise Refused(
                    HTTPStatus.SERVICE_UNAVAILABLE,
                    f"{host} has {self._at_once} requests under way already",
                    (("Retry-After", "10"),),
                )
            self._taken[host] += 1
        try:
            yield
        finally:
            with self._lock:
                self._taken[host] -= 1
