"""How many requests hosts may have under way, so that broken or bad ones leave room for the others.

Each holds a thread for as long as its client likes, and there is a number of places for all hosts
together. When the last is taken and a host wants one that has less than others, the host that has most
loses its youngest request. So hosts that take what they can get end up with equal parts, and as many
hosts as there are places get one each, whoever came first.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http import HTTPStatus
from typing import Final

from nightdrop_server import log
from nightdrop_server.answers import Refused

PLACES: Final = 128
"""How many requests all hosts may have under way together."""

End = Callable[[], object]


class Turns:
    """Gives hosts their places, `at_once` at most to each; safe to share between threads."""

    def __init__(self, at_once: int, places: int = PLACES) -> None:
        self._at_once = at_once
        self._free = places
        self._lock = threading.Lock()
        # What ends each request, the youngest last.
        self._taken: dict[str, list[End]] = {}

    @contextmanager
    def one(self, host: str, end: End) -> Iterator[None]:
        """One request of a host, which `end` can end from another thread. Refused (503) if it has too
        many already.
        """
        with self._lock:
            if len(self._taken.get(host, ())) >= self._at_once:
                raise _refused(f"{host} has {self._at_once} requests under way already")
            if not self._free:
                self._make_room_for(host)
            self._free -= 1
            self._taken.setdefault(host, []).append(end)
        try:
            yield
        finally:
            with self._lock:
                self._give_back(host, end)

    def _make_room_for(self, host: str) -> None:
        most = max(self._taken, key=lambda other: len(self._taken[other]))
        # With one less it must still have no less than this one will have.
        if len(self._taken[most]) < len(self._taken.get(host, ())) + 2:
            raise _refused("as many requests are under way as there is room for")
        log.trouble(
            f"{most} has {len(self._taken[most])} requests under way: {host} needs the place of one"
        )
        youngest = self._taken[most][-1]
        self._give_back(most, youngest)
        youngest()

    def _give_back(self, host: str, end: End) -> None:
        """Count a request out, unless another host was given its place already."""
        ends = self._taken.get(host, [])
        if end in ends:
            ends.remove(end)
            self._free += 1
            if not ends:
                del self._taken[host]


def _refused(why: str) -> Refused:
    return Refused(HTTPStatus.SERVICE_UNAVAILABLE, why, (("Retry-After", "10"),))
