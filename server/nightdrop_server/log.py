"""The mirror's log: one line a request and one a trouble, to standard error.

Clients choose much of what is written here, so all of it is made harmless: no request forges a line. Nor
does a client choose how much is written: of requests that leave nothing here, which cost it nothing, each
host has so many lines a minute, strangers have them together, and of more only their number is told.
"""

import sys
import threading
import time
import traceback
from collections import Counter
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

from nightdrop.text import count, harmless

MOST: Final = 600
"""Lines a minute of each kind that anybody can cause without end: a host's requests, those of strangers
("-"), and troubles.
"""

_MINUTE: Final = 60


class _Minute:
    """The lines of each kind in this minute."""

    def __init__(self) -> None:
        self._number = 0
        self._lines: Counter[str] = Counter()

    def is_one_too_many(self, kind: str) -> bool:
        """Whether this kind had all of its lines."""
        self._lines[kind] += 1
        return self._lines[kind] > MOST

    def over(self, now: float) -> list[str]:
        """What is to be said of the last minute, if that is over."""
        if (number := int(now) // _MINUTE) == self._number:
            return []
        told = [
            f"{count(lines - MOST, 'line')} of {kind} in one minute"
            for kind, lines in self._lines.items()
            if lines > MOST
        ]
        self._number = number
        self._lines.clear()
        return told


_lock = threading.Lock()
_minute = _Minute()


@dataclass(frozen=True)
class Access:
    """One request: the client's address, the host it proved to be ("-": none), the answer's status,
    octets received, seconds it took, and why it was refused ("": it was not).
    """

    address: str
    host: str
    method: str
    target: str
    status: int
    octets: int
    seconds: float
    reason: str


def access(one: Access) -> None:
    """Write down one request."""
    request = f"{harmless(one.method)} {harmless(one.target)}"
    why = f" ({harmless(one.reason)})" if one.reason else ""
    _write(
        f"{harmless(one.address)} {harmless(one.host)} {request} "
        f"{one.status} {one.octets} {one.seconds:.3f}{why}",
        "" if one.status == HTTPStatus.CREATED else f"requests of {one.host}",
    )


def trouble(sentence: str) -> None:
    """Something the administrator should know."""
    _write(f"trouble: {harmless(sentence, 1000)}", "troubles")


def fault(error: BaseException) -> None:
    """A fault of ours, with where it happened: enough to report it, in one line."""
    frames = traceback.extract_tb(error.__traceback__)
    where = " < ".join(f"{frame.filename}:{frame.lineno}" for frame in reversed(frames[-4:]))
    trouble(f"{type(error).__name__}: {error} at {where}")


def _write(line: str, kind: str) -> None:
    """Write a line, unless its kind, "" for none, had too many in this minute."""
    now = time.time()
    moment = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now))
    with _lock:
        lines = [f"left out: {told}" for told in _minute.over(now)]
        if not kind or not _minute.is_one_too_many(kind):
            lines.append(line)
        try:
            sys.stderr.write("".join(f"{moment} {each}\n" for each in lines))
            sys.stderr.flush()
        except OSError:
            # A log that went away must not take the door with it.
            return
