"""The scrub: files are read to their last byte, those that wait longest first, for as long as a look may.

What a disk loses or alters without a word shows only in reading. A file that is begun is read to its end,
so a look may take longer than it should by one file.
"""

import hashlib
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO, Final

from nightdrop.errors import VaultError
from nightdrop.vault import FolderVault
from nightdrop_check.memory import Memory, Seen

SOON: Final = 7 * 86400
"""Seconds in which a file that was read is not read again."""

_PIECE: Final = 1024 * 1024


@dataclass(frozen=True)
class Budget:
    """How much a look may read: octets (0: no limit) and seconds (None: no limit); and whether what was
    read a while ago is read again, too.
    """

    size: int = 0
    seconds: float | None = None
    everything: bool = False


@dataclass(frozen=True)
class Scrubbed:
    """What a scrub read, files and octets, and the hosts of which it saw something that was not known."""

    files: int
    size: int
    hosts: frozenset[str]


def scrub(vault: FolderVault, memory: Memory, budget: Budget, now: float) -> Scrubbed:
    """Read what waits longest, and remember what was found; `now` is the look's time (epoch seconds)."""
    files, size, surprised = 0, 0, set()
    for host, before, after in _read(vault, memory, budget, now):
        files, size = files + (not after.problem), size + (0 if after.problem else after.size)
        expected = before.sha256 or before.first or after.sha256
        if (expected, before.problem) != (after.sha256, after.problem):
            surprised.add(host)
    return Scrubbed(files, size, frozenset(surprised))


def _read(
    vault: FolderVault, memory: Memory, budget: Budget, now: float
) -> Iterator[tuple[str, Seen, Seen]]:
    """Host, and what was known before and after, of every file that is read."""
    begun, size = time.monotonic(), 0
    verified_before = now if budget.everything else now - SOON
    while _may_go_on(budget, begun, size) and (batch := memory.oldest_first(verified_before, now)):
        read: dict[str, list[Seen]] = {}
        try:
            for host, before in batch:
                if not _may_go_on(budget, begun, size):
                    return
                after = _read_file(vault, host, before, now)
                read.setdefault(host, []).append(after)
                size += after.size
                yield host, before, after
        finally:
            for host, files in read.items():
                memory.remember(host, files)


def _may_go_on(budget: Budget, begun: float, size: int) -> bool:
    """Whether the budget is not spent, by what began then (monotonic) and has read so many octets."""
    if budget.seconds is not None and time.monotonic() - begun >= budget.seconds:
        return False
    return not budget.size or size < budget.size


def _read_file(vault: FolderVault, host: str, before: Seen, now: float) -> Seen:
    """Read one file. Errors become facts; one that went away meanwhile is the next look's to tell."""
    try:
        with vault.open(host, before.name) as stream:
            size, sha256 = _digest(stream)
    except (VaultError, OSError) as error:
        return before._replace(problem=str(error), verified=0, tried=now)
    if size != before.size:
        return before._replace(tried=now)
    first = before.first or sha256
    return before._replace(first=first, sha256=sha256, verified=now, tried=now, problem="")


def _digest(stream: BinaryIO) -> tuple[int, str]:
    hasher, size = hashlib.sha256(), 0
    buffer = memoryview(bytearray(_PIECE))
    while octets := stream.readinto(buffer):  # type: ignore[attr-defined]
        hasher.update(buffer[:octets])
        size += octets
    return size, hasher.hexdigest()
