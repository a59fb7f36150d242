"""Running programs to measure them."""

import hashlib
import os
import re
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

Words = Sequence[str | Path]


@dataclass(frozen=True)
class Ended:
    """A process that ended well: wall-clock seconds, and octets it wrote to a file."""

    seconds: float
    written: int


def in_turn(
    rounds: int, ours: Callable[[], Ended], theirs: Callable[[], Ended]
) -> tuple[list[Ended], list[Ended]]:
    """Both, one after the other, that many times."""
    pairs = [(ours(), theirs()) for _ in range(rounds)]
    return [our for our, _ in pairs], [their for _, their in pairs]


def run(words: Words, source: Path, out: Path) -> Ended:
    """Run a command from a file to a file. What earlier ones wrote is on the disk before."""
    out_is_file = not out.is_char_device()
    if out_is_file:
        out.unlink(missing_ok=True)
        os.sync()
    with source.open("rb") as stdin, out.open("wb") as stdout:
        begun = time.monotonic()
        process = subprocess.Popen(words, stdin=stdin, stdout=stdout)
        ended_well(process)
        seconds = time.monotonic() - begun
    return Ended(seconds, out.stat().st_size if out_is_file else 0)


def ended_well(process: subprocess.Popen[bytes], expect: int = 0) -> None:
    """Wait for a process, which has to end with this status."""
    assert process.wait() == expect, f"{process.args} failed"


def feed(words: Words, octets: int) -> str:
    """The SHA-256 of that many octets, which a command was given as its input."""
    piece, digest = os.urandom(1 << 20), hashlib.sha256()
    process = subprocess.Popen(words, stdin=subprocess.PIPE)
    assert process.stdin is not None
    for at in range(0, octets, len(piece)):
        part = piece[: octets - at]
        digest.update(part)
        process.stdin.write(part)
    process.stdin.close()
    ended_well(process)
    return digest.hexdigest()


def drain(words: Words) -> tuple[int, float, str]:
    """Most memory, seconds and the SHA-256 of its output, of a command that ends well."""
    digest, memory = hashlib.sha256(), 0
    begun = time.monotonic()
    process = subprocess.Popen(words, stdout=subprocess.PIPE)
    assert process.stdout is not None
    while piece := process.stdout.read1(1 << 20):  # type: ignore[attr-defined]
        digest.update(piece)
        memory = peak(process.pid) or memory
    ended_well(process)
    return memory, time.monotonic() - begun, digest.hexdigest()


def peak(pid: int) -> int:
    """The most memory that a process has had so far, in octets; 0 if it ended.

    Not from getrusage: that counts what whoever started the process had at that moment, too.
    """
    status = Path(f"/proc/{pid}/status").read_text()
    found = re.search(r"^VmHWM:\s+(\d+) kB$", status, re.MULTILINE)
    return int(found[1]) * 1024 if found else 0


def succeeds(words: Words) -> bool:
    """Whether a command ends well that may well fail."""
    quiet = subprocess.DEVNULL
    return subprocess.run(words, stdout=quiet, stderr=quiet, check=False).returncode == 0


def seconds_of(act: Callable[[], object]) -> float:
    """How long it takes, when what was written before is on the disk."""
    os.sync()
    begun = time.monotonic()
    act()
    return time.monotonic() - begun


def tree_size(folder: Path) -> int:
    """Octets of all files in a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def memory_of_all(words: Words, out: int | IO[bytes] = subprocess.DEVNULL, *, expect: int = 0) -> int:
    """The most memory that a command and all that it starts have at one time, in octets.

    What processes share, as a child does that was forked, counts once (PSS, proc(5)).
    """
    process = subprocess.Popen(words, stdout=out)
    most = 0
    while process.poll() is None:
        most = max(most, sum(map(_share, _family(process.pid))))
        time.sleep(0.02)
    ended_well(process, expect)
    return most


def _family(pid: int) -> list[int]:
    try:
        children = [
            int(child)
            for task in Path(f"/proc/{pid}/task").iterdir()
            for child in (task / "children").read_text().split()
        ]
    except OSError:
        return []
    return [pid, *(one for child in children for one in _family(child))]


def _share(pid: int) -> int:
    try:
        found = re.search(
            r"^Pss:\s+(\d+) kB$", Path(f"/proc/{pid}/smaps_rollup").read_text(), re.MULTILINE
        )
    except OSError:
        return 0
    return int(found[1]) * 1024 if found else 0
