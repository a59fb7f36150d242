"""What the duplicity process tells the role that started it: one JSON object a line, through a pipe."""

import json
import os
import threading
from dataclasses import asdict, dataclass
from typing import Literal


@dataclass(frozen=True)
class Event:
    """One thing that happened. Which fields mean something depends on `kind`:

    `scanned`: so many `files` and `octets` of the source were looked at so far; `sent`: `octets` more
    went to `mirror`; `dropped`: the file `text` was taken; `waiting`: `mirror` fails because of
    `text` and is tried again, or is back (""); `lost`: `mirror` died of `text`;
    `changed`: so many `files` with so many `octets` in them are new, changed or gone (a dry run);
    `fetched`: the file `text` of so many `octets` was read from the vault; `elsewhere`: `text` says
    which file came from another vault than the first; `unrestored`: the path `text` was not restored,
    because of `reason`; `finished`: the set `text`;
    `warning`, `error`: duplicity said `text`, with its message `code`.
    """

    kind: Literal[
        "scanned",
        "sent",
        "dropped",
        "waiting",
        "changed",
        "lost",
        "fetched",
        "elsewhere",
        "unrestored",
        "finished",
        "warning",
        "error",
    ]
    text: str = ""
    reason: str = ""
    mirror: str = ""
    files: int = 0
    octets: int = 0
    code: int = 0


class EventWriter:
    """The end of the pipe that tells; safe to share between threads."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._lock = threading.Lock()

    def tell(self, event: Event) -> None:
        """Tell one event. If nobody listens any more, the run is gone, and so are we."""
        line = json.dumps({k: v for k, v in asdict(event).items() if v}).encode() + b"\n"
        with self._lock:
            try:
                while line:
                    line = line[os.write(self._descriptor, line) :]
            except BrokenPipeError:
                os._exit(1)


def parse_event(line: str) -> Event:
    """Read one line of the pipe."""
    return Event(**json.loads(line))
