"""The ledger: when each file arrived, by the mirror's own clock, what was refused, and what was pruned.

SQLite beside the vault. The door writes it, the check reads it. It holds nothing that the vault does
not, but for times, refusals and what is gone: without it, a file's age is what the file system says.
"""

import hashlib
import math
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

from nightdrop.databases import lay_out, refuse_newer
from nightdrop.errors import VaultError
from nightdrop.full_disks import to_read

_SCHEMA = """
CREATE TABLE IF NOT EXISTS drops (
    host TEXT NOT NULL,
    name TEXT NOT NULL,
    size INTEGER NOT NULL,
    sha256 TEXT NOT NULL,
    received REAL NOT NULL,
    PRIMARY KEY (host, name)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS refusals (
    host TEXT NOT NULL,
    name TEXT NOT NULL,
    at REAL NOT NULL,
    address TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS refusals_by_host ON refusals (host);
CREATE TABLE IF NOT EXISTS pruned (
    host TEXT NOT NULL,
    sha256 TEXT NOT NULL,
    PRIMARY KEY (host, sha256)
) WITHOUT ROWID;
"""

MOST_REFUSALS: Final = 10_000
"""How many refused overwrites are remembered of a host, the newest: a bad one may try without end."""

TRIM_EVERY: Final = 100
"""How many more of a host there may be before those that are too many go."""


class Drop(NamedTuple):
    """A file as the door took it: size in octets, SHA-256 in hex, time of receipt (epoch seconds)."""

    host: str
    name: str
    size: int
    sha256: str
    received: float


@dataclass(frozen=True)
class Refusal:
    """An attempt to put other bytes under a name that was taken."""

    host: str
    name: str
    at: float
    address: str


@dataclass(frozen=True)
class Refusals:
    """A host's refused overwrites: how many (MOST_REFUSALS may be more), of how many names, one of the
    names, from how many addresses, one of the addresses, and when the last was (epoch seconds).
    """

    number: int
    names: int
    name: str
    addresses: int
    address: str
    last: float


class Ledger:
    """One mirror's ledger; safe to share between threads."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        self._refused: Counter[str] = Counter()
        with self._explained():
            self._db = sqlite3.connect(path, timeout=30, check_same_thread=False, isolation_level=None)
            # A commit that a power cut loses is found again from the vault; an fsync a drop is dear.
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=NORMAL")
            lay_out(self._db, _SCHEMA, f"the ledger {path}")

    @classmethod
    def reading(cls, path: Path, *, briefly: bool = False) -> "Ledger":
        """A ledger to look into: never written, never made, empty where there is none. One that is read
        `briefly` need not notice what is written meanwhile, and so can be read on a disk that is full.
        """
        ledger = cls.__new__(cls)
        ledger.path = path
        ledger._lock = threading.Lock()
        with ledger._explained():
            if path.exists():
                uri = to_read(path) if briefly else f"{path.resolve().as_uri()}?mode=ro"
                ledger._db = sqlite3.connect(uri, uri=True, timeout=30, check_same_thread=False)
                refuse_newer(ledger._db, f"the ledger {path}")
            else:
                ledger._db = sqlite3.connect(":memory:", check_same_thread=False)
                ledger._db.executescript(_SCHEMA)
        return ledger

    def record(self, drop: Drop) -> None:
        """Write down a drop; the first record of a name stays."""
        self._run(
            "INSERT OR IGNORE INTO drops VALUES (?, ?, ?, ?, ?)",
            (drop.host, drop.name, drop.size, drop.sha256, drop.received),
        )

    def prune(self, host: str, receipt: str) -> None:
        """Write down that the set of this receipt, a file's name, is removed to make room."""
        self._run(
            "INSERT OR IGNORE INTO pruned SELECT host, sha256 FROM drops WHERE host = ? AND name = ?",
            (host, receipt),
        )

    def pruned(self, host: str) -> frozenset[str]:
        """The SHA-256 (hex) of each receipt of a host that was removed to make room."""
        # A ledger that is only read, and that no newer version has written to yet, lacks the table.
        if not self._run("SELECT 1 FROM sqlite_master WHERE name = 'pruned'", ()):
            return frozenset()
        return frozenset(row[0] for row in self._run("SELECT sha256 FROM pruned WHERE host = ?", (host,)))

    def refuse(self, host: str, name: str, address: str) -> None:
        """Write down that other bytes were offered for a taken name, now."""
        self._run("INSERT INTO refusals VALUES (?, ?, ?, ?)", (host, name, time.time(), address))
        self._refused[host] += 1
        # Seldom, because it looks at all of them, and other hosts wait for the ledger meanwhile.
        if self._refused[host] % TRIM_EVERY == 1:
            self._run(
                "DELETE FROM refusals WHERE host = ? AND rowid <= "
                "(SELECT rowid FROM refusals WHERE host = ? ORDER BY rowid DESC LIMIT 1 OFFSET ?)",
                (host, host, MOST_REFUSALS),
            )

    def drop(self, host: str, name: str) -> Drop | None:
        """What is known of one file."""
        rows = self._run("SELECT * FROM drops WHERE host = ? AND name = ?", (host, name))
        return Drop(*rows[0]) if rows else None

    def drops(self, host: str, after: float = -math.inf, until: float = math.inf) -> dict[str, Drop]:
        """What is known of a host's files, by name; of those that came after one time and until another
        (epoch seconds).
        """
        rows = self._run(
            "SELECT * FROM drops WHERE host = ? AND received > ? AND received <= ?", (host, after, until)
        )
        return {row[1]: Drop._make(row) for row in rows}

    def digest(self, host: str, until: float) -> str:
        """What stays the same while the records of a host's files that came until a time (epoch seconds)
        do. As it is cheap to reckon, it tells an altered ledger from a whole one, and no forger's.
        """
        [(names, *sums)] = self._run(
            "SELECT group_concat(name || sha256), total(received), total(size), count(*) "
            "FROM drops WHERE host = ? AND received <= ?",
            (host, until),
        )
        return hashlib.blake2b(f"{sums} {names}".encode(), digest_size=16).hexdigest()

    def refusals(self, since: float = 0) -> list[Refusal]:
        """Refused overwrites since a time (epoch seconds), oldest first."""
        return [
            Refusal(*row)
            for row in self._run("SELECT * FROM refusals WHERE at >= ? ORDER BY at", (since,))
        ]

    def refusals_by_host(self, since: float) -> dict[str, Refusals]:
        """Every host's refused overwrites since a time (epoch seconds), however many, summed up."""
        rows = self._run(
            "SELECT host, COUNT(*), COUNT(DISTINCT name), MIN(name), COUNT(DISTINCT address), "
            "MIN(address), MAX(at) FROM refusals WHERE at >= ? GROUP BY host",
            (since,),
        )
        return {row[0]: Refusals(*row[1:]) for row in rows}

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._db.close()

    def _run(self, statement: str, values: tuple[object, ...]) -> list[tuple[Any, ...]]:
        with self._explained(), self._lock:
            return self._db.execute(statement, values).fetchall()

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise VaultError(f"the ledger {self.path} does not answer: {error}") from error
