"""What a signal that interrupts a command must not leave behind: things that nobody knows of yet."""

import signal
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def held_back() -> Iterator[None]:
    """SIGINT, SIGTERM and SIGHUP interrupt after the block, and not between the making of a process or
    a folder and the moment when somebody knows it. Blocking them would not do: processes inherit that.
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread is ever interrupted
        return
    came: list[int] = []
    kept = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    for number, handler in kept.items():
        if callable(handler):
            signal.signal(number, lambda number, _frame: came.append(number))
    try:
        yield
    finally:
        for number, handler in kept.items():
            signal.signal(number, handler)
        for which in came[:1]:
            signal.raise_signal(which)


@contextmanager
def temporary_folder(prefix: str, within: Path) -> Iterator[Path]:
    """A folder for the time of the block, also if a signal comes while it is made."""
    made = None
    try:
        with held_back():
            made = tempfile.TemporaryDirectory(prefix=prefix, dir=within)
        yield Path(made.name)
    finally:
        if made is not None:
            made.cleanup()
