"""Running programs to measure them."""

import hashlib
import os
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

Words = Sequence[str | Path]


@dataclass(frozen=True)
class Ended:
    """A process that ended well: wall-clock seconds, most memory at a time, and octets it wrote."""

    seconds: float
    memory: int
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
        memory = ended_well(process)
        seconds = time.monotonic() - begun
    return Ended(seconds, memory, out.stat().st_size if out_is_file else 0)


def ended_well(process: subprocess.Popen[bytes]) -> int:
    """The most memory that a process had when it ended, in octets; it has to end with 0."""
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, f"{process.args} failed"
    return used.ru_maxrss * 1024


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
    digest = hashlib.sha256()
    begun = time.monotonic()
    process = subprocess.Popen(words, stdout=subprocess.PIPE)
    assert process.stdout is not None
    while piece := process.stdout.read1(1 << 20):  # type: ignore[attr-defined]
        digest.update(piece)
    memory = ended_well(process)
    return memory, time.monotonic() - begun, digest.hexdigest()


def succeeds(words: Words) -> bool:
    """Whether a command ends well that may well fail."""
    quiet = subprocess.DEVNULL
    return subprocess.run(words, stdout=quiet, stderr=quiet, check=False).returncode == 0
