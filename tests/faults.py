"""Calls of the kernel that fail, in a mirror that runs: strace attaches to it and makes them.

Needs strace, and root or the right to trace.
"""

import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mirrors import PATIENCE, Mirror, wait_until


@contextmanager
def failing(mirror: Mirror, call: str, error: str, number: int, trace: Path) -> Iterator[None]:
    """Each thread's Nth `call` from now on gives this error, that one only. `trace` tells of each."""
    assert mirror.process is not None
    what = ["-e", f"trace={call}", "-e", f"inject={call}:error={error}:when={number}"]
    errors = trace.with_suffix(".errors")
    with errors.open("w") as said:
        strace = subprocess.Popen(
            ["strace", "-f", *what, "-o", trace, "-p", str(mirror.process.pid)], stderr=said
        )
    try:
        wait_until(lambda: "attached" in errors.read_text(), "strace is attached")
        yield
    finally:
        strace.send_signal(signal.SIGINT)
        strace.wait(PATIENCE)
