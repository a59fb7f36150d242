"""The mirror's log: one line a request and one a trouble, to standard error.

Clients choose much of what is written here, so all of it is made harmless: no request forges a line.
"""

import sys
import threading
import time
import traceback
from dataclasses import dataclass

from nightdrop.text import harmless

_lock = threading.Lock()


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
        f"{one.status} {one.octets} {one.seconds:.3f}{why}"
    )


def trouble(sentence: str) -> None:
    """Something the administrator should know."""
    _write(f"trouble: {harmless(sentence, 1000)}")


def fault(error: BaseException) -> None:
    """A fault of ours, with where it happened: enough to report it, in one line."""
    frames = traceback.extract_tb(error.__traceback__)
    where = " < ".join(f"{frame.filename}:{frame.lineno}" for frame in reversed(frames[-4:]))
    trouble(f"{type(error).__name__}: {error} at {where}")


def _write(line: str) -> None:
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    with _lock:
        try:
            sys.stderr.write(f"{now} {line}\n")
            sys.stderr.flush()
        except OSError:
            # A log that went away must not take the door with it.
            return
