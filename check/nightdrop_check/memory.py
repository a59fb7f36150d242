"""What the check remembers from one look to the next: what it saw of each file.

SQLite in the mirror's state, `check.sqlite`. So that a look need not read every file again, and
a file that was found damaged is told of until it changes. Nothing is lost with it but the time to read
anew and, where there is no ledger, the digests that files had when they were first read.
"""

import json
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from nightdrop.envelope.recipients import RecipientId
from nightdrop.errors import VaultError
from nightdrop_check.heads import Head

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS files (
    host TEXT NOT NULL,
    name TEXT NOT NULL,
    size INTEGER NOT NULL,
    changed REAL NOT NULL,
    received REAL NOT NULL,
    head INTEGER NOT NULL,
    first TEXT NOT NULL,
    sha256 TEXT NOT NULL,
    verified REAL NOT NULL,
    problem TEXT NOT NULL,
    tried REAL NOT NULL,
    PRIMARY KEY (host, name)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS heads (id INTEGER PRIMARY KEY, text TEXT NOT NULL UNIQUE);
CREATE TABLE IF NOT EXISTS room (day INTEGER PRIMARY KEY, at REAL NOT NULL, free INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS marks (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
"""
_REMEMBER: Final = """
INSERT OR REPLACE INTO files VALUES (
    :host, :name, :size, :changed, :received, :head, :first, :sha256, :verified, :problem, :tried
)"""
_SEEN: Final = """
SELECT name, size, changed, received, head, first, sha256, verified, problem, tried
FROM files WHERE host = ?"""
_OLDEST: Final = """
SELECT host, name, size, changed, received, head, first, sha256, verified, problem, tried
FROM files WHERE verified < ? AND tried < ?
ORDER BY problem = '', MAX(verified, received) LIMIT 500"""
_DAY: Final = 86400


@dataclass(frozen=True)
class Seen:
    """What is known of one file as it lies there: its size in octets, when the file system last changed
    it, when it was received, its head (None of a file that is no envelope by its name).

    `first` is the SHA-256 (hex) by which it was first known: the door's, its receipt's, or what was read;
    `sha256` what was read last, `verified` when, 0 if it never was as it is now. `problem` is why it
    could not be read, `tried` when that was. All times are epoch seconds.
    """

    name: str
    size: int
    changed: float
    received: float
    head: Head | None
    first: str = ""
    sha256: str = ""
    verified: float = 0
    problem: str = ""
    tried: float = 0


@dataclass(frozen=True)
class Coverage:
    """How much of what lies there was read to the last byte lately: files and octets, and since when
    (epoch seconds) the file is waiting that waits longest.
    """

    files: int = 0
    size: int = 0
    files_read: int = 0
    size_read: int = 0
    waiting_since: float | None = None


def memory_path(state: Path) -> Path:
    """Where a mirror with this folder of state keeps its memory."""
    return state / "check.sqlite"


class Memory:
    """One mirror's memory. `Memory(None)` is one that lasts for this look only."""

    def __init__(self, path: Path | None) -> None:
        self._name = str(path) if path else "the check's memory"
        self._heads: dict[int, Head | None] = {}
        self._head_numbers: dict[Head | None, int] = {}
        with self._explained():
            self._db = sqlite3.connect(path or ":memory:", timeout=60, isolation_level=None)
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=NORMAL")
            self._db.executescript(_SCHEMA)
            for number, text in self._db.execute("SELECT id, text FROM heads"):
                self._learn_head(number, _read_head(text))

    def seen(self, host: str) -> dict[str, Seen]:
        """What is known of a host's files, by name."""
        with self._explained():
            rows = self._db.execute(_SEEN, (host,))
            return {row[0]: self._row(row) for row in rows}

    def remember(self, host: str, files: Iterable[Seen], gone: Iterable[str] = ()) -> None:
        """Remember these files, and forget those that are gone."""
        rows = [{"host": host} | vars(file) | {"head": self._number(file.head)} for file in files]
        lost = [(host, name) for name in gone]
        if not rows and not lost:
            return
        with self._explained(), self._transaction():
            self._db.executemany(_REMEMBER, rows)
            self._db.executemany("DELETE FROM files WHERE host = ? AND name = ?", lost)

    def forget_hosts(self, but: Iterable[str]) -> None:
        """Forget every host but these."""
        with self._explained():
            known = {row[0] for row in self._db.execute("SELECT DISTINCT host FROM files")}
            for host in known - set(but):
                self._db.execute("DELETE FROM files WHERE host = ?", (host,))

    def oldest_first(self, verified_before: float, tried_before: float) -> list[tuple[str, Seen]]:
        """Some of the files that were neither read nor tried since these times (epoch seconds), and their
        hosts: what could not be read first, and then what waits longest; none when there are no more.

        A file that was never read waits since it came: the door knew its digest then.
        """
        with self._explained():
            rows = self._db.execute(_OLDEST, (verified_before, tried_before)).fetchall()
        return [(row[0], self._row(row[1:])) for row in rows]

    def coverage(self, since: float) -> Coverage:
        """How much was read since a time (epoch seconds)."""
        with self._explained():
            row = self._db.execute(
                "SELECT COUNT(*), TOTAL(size), TOTAL(verified >= :since), "
                "TOTAL(CASE WHEN verified >= :since THEN size END), "
                "MIN(MAX(verified, received, :begun)) FROM files",
                {"since": since, "begun": float(self.mark("begun") or 0)},
            ).fetchone()
        files, size, files_read, size_read, waiting_since = row
        return Coverage(files, int(size), int(files_read), int(size_read), waiting_since)

    def record_room(self, at: float, free: int) -> None:
        """Remember how many octets were free on the vault's disk; one number a day is kept."""
        with self._explained():
            self._db.execute("INSERT OR REPLACE INTO room VALUES (?, ?, ?)", (int(at // _DAY), at, free))

    def room(self, since: float) -> list[tuple[float, int]]:
        """Times (epoch seconds) and free octets since a time, oldest first."""
        with self._explained():
            rows = self._db.execute("SELECT at, free FROM room WHERE at >= ? ORDER BY at", (since,))
            return rows.fetchall()

    def mark(self, name: str) -> str | None:
        """What was noted under this name."""
        with self._explained():
            row = self._db.execute("SELECT value FROM marks WHERE name = ?", (name,)).fetchone()
        return row[0] if row else None

    def set_mark(self, name: str, value: str) -> None:
        """Note something under a name."""
        with self._explained():
            self._db.execute("INSERT OR REPLACE INTO marks VALUES (?, ?)", (name, value))

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def _row(self, row: tuple[Any, ...]) -> Seen:
        if (head := row[4]) not in self._heads:
            # Another check learnt it meanwhile.
            (text,) = self._db.execute("SELECT text FROM heads WHERE id = ?", (head,)).fetchone()
            self._learn_head(head, _read_head(text))
        name, size, changed, received, _, first, sha256, verified, problem, tried = row
        return Seen(
            name, size, changed, received, self._heads[head], first, sha256, verified, problem, tried
        )

    def _number(self, head: Head | None) -> int:
        """The number of a head; the files of a host share theirs, so few are kept."""
        if (number := self._head_numbers.get(head)) is None:
            text = _write_head(head)
            with self._explained():
                self._db.execute("INSERT OR IGNORE INTO heads (text) VALUES (?)", (text,))
                row = self._db.execute("SELECT id FROM heads WHERE text = ?", (text,)).fetchone()
            number = int(row[0])
            self._learn_head(number, head)
        return number

    def _learn_head(self, number: int, head: Head | None) -> None:
        self._heads[number] = head
        self._head_numbers[head] = number

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise VaultError(
                f"{self._name} does not answer: {error}",
                "it may be removed: then every file is read anew",
            ) from error


def _write_head(head: Head | None) -> str:
    if head is None:
        return ""
    recipients = [[r.issuer.hex(), f"{r.serial:x}", r.key_id.hex()] for r in head.recipients]
    return json.dumps(vars(head) | {"recipients": recipients}, sort_keys=True)


def _read_head(text: str) -> Head | None:
    if not text:
        return None
    fields: dict[str, Any] = json.loads(text)
    fields["recipients"] = tuple(
        RecipientId(bytes.fromhex(issuer), int(serial, 16), bytes.fromhex(key_id))
        for issuer, serial, key_id in fields["recipients"]
    )
    return Head(**fields)
