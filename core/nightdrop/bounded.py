"""A look at something that may hang, within bounds, for `nightdrop doctor`.

A mirror may answer octet by octet, a name server never, and a file be a pipe, or lie on a disk that is
gone: no timeout of ours ends all of these. So each look is in a process of its own, which can be ended.
It may become another user there, too.
"""

import json
import os
import select
import signal
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import suppress
from dataclasses import asdict
from typing import Final, NoReturn

from nightdrop.errors import NightdropError
from nightdrop.examining import Line
from nightdrop.text import format_duration

LONGEST: Final = 60.0
"""Seconds that one look may take."""

_PIECE: Final = 65536


def bounded(what: str, look: Callable[[], Iterable[Line]], seconds: float = LONGEST) -> Iterator[Line]:
    """The lines of a look at `what`, as they come. Where it takes longer than so many seconds, or fails,
    the last line says so.
    """
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        os.close(reading)
        _look(what, look, writing)
    os.close(writing)
    try:
        ended = yield from _lines(reading, time.monotonic() + seconds)
    finally:
        os.close(reading)
        with suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)
        # Not waited for: one that waits for a disk that is gone does not even hear that it is killed.
        os.waitpid(child, os.WNOHANG)
    if not ended:
        text = f"did not end within {format_duration(seconds)}, and was given up"
        yield Line("fail", what, text, "something that it has to ask or to read hangs")


def _lines(reading: int, deadline: float) -> Generator[Line, None, bool]:
    """The lines that come; whether their end came before the deadline (by the monotonic clock)."""
    rest = b""
    while select.select([reading], [], [], max(0, deadline - time.monotonic()))[0]:
        if not (piece := os.read(reading, _PIECE)):
            return True
        *whole, rest = (rest + piece).split(b"\n")
        for line in whole:
            yield Line(**json.loads(line))
    return False


def _look(what: str, look: Callable[[], Iterable[Line]], writing: int) -> NoReturn:
    """Look, write the lines down the pipe, and leave."""

    def tell(line: Line) -> None:
        os.write(writing, json.dumps(asdict(line)).encode() + b"\n")

    try:
        for line in look():
            tell(line)
    except NightdropError as error:
        tell(Line("fail", what, error.message, error.hint))
    except OSError as error:
        where = f"{error.filename}: " if error.filename is not None else ""
        tell(Line("fail", what, f"cannot be looked at: {where}{error.strerror or error}"))
    except KeyboardInterrupt:
        # Who started this hears of it, too, and says so.
        os._exit(1)
    except BaseException as error:  # noqa: BLE001  nothing of the process that was forked may go on here
        tell(Line("fail", what, f"a fault of ours: {type(error).__name__}: {error}"))
    os._exit(0)
