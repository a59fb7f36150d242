"""How much each host keeps: its folder is counted once, and from then on by what the door takes in.

To list a folder of a hundred thousand files takes a second, and a host may ask for room as often as it
likes. What else changes there (somebody made room) is seen by counting anew.
"""

import time
from collections import Counter, defaultdict
from dataclasses import dataclass
from threading import Lock

from nightdrop.vault import FolderVault


@dataclass
class Tally:
    """A host's files and their octets, by a count that ended at `counted` (time.monotonic)."""

    files: int
    octets: int
    counted: float


class Tallies:
    """The tallies of one vault. `lock` guards them: to be held for `get` and `add`, not for `count`."""

    def __init__(self, vault: FolderVault, lock: Lock) -> None:
        self._vault = vault
        self._lock = lock
        self._known: dict[str, Tally] = {}
        self._added: Counter[str] = Counter()
        self._counting: defaultdict[str, Lock] = defaultdict(Lock)

    def get(self, host: str, since: float) -> Tally | None:
        """What a host keeps, if it was counted after `since` (time.monotonic)."""
        tally = self._known.get(host)
        return tally if tally is not None and tally.counted > since else None

    def add(self, host: str, octets: int, named: float) -> None:
        """A host has one file more, which got its name after `named` (time.monotonic)."""
        self._added[host] += 1
        tally = self._known.get(host)
        if tally is None:
            return
        if tally.counted < named:
            tally.files += 1
            tally.octets += octets
        else:
            # Whether it was there when they were counted, nobody knows.
            del self._known[host]

    def count(self, host: str, since: float) -> None:
        """Count a host's files, unless that was done after `since`; VaultError if that cannot be done."""
        with self._lock:
            counting = self._counting[host]
        with counting:
            while True:
                with self._lock:
                    if self.get(host, since) is not None:
                        return
                    added = self._added[host]
                sizes = [file.size for file in self._vault.list(host)]
                with self._lock:
                    # What came meanwhile may be among them or not.
                    if added == self._added[host]:
                        self._known[host] = Tally(len(sizes), sum(sizes), time.monotonic())
                        return
