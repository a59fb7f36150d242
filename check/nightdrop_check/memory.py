"""What the check remembers from one look to the next: what it saw of each file.

SQLite in the mirror's state, `check.sqlite`. So that a look need not read every file again, and
a file that was found damaged is told of until it changes. Nothing is lost with it but the time to read
anew and, where there is no ledger, the digests that files had when they were first read.
"""

import json
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, NamedTuple

from nightdrop.envelope.recipients import RecipientId
from nightdrop_check.heads import Head
from nightdrop_check.store import Store

_REMEMBER: Final = """
INSERT OR REPLACE INTO files (
    host, name, size, changed, received, head, first, sha256, verified, problem, tried
) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"""
_SEEN: Final = """
SELECT name, size, changed, received, text, first, sha256, verified, problem, tried
FROM files JOIN heads ON id = head WHERE host = ?"""
# Joined last, because every file is gone through.
_OLDEST: Final = """
WITH oldest AS MATERIALIZED (
    SELECT * FROM files WHERE verified < ? AND tried < ?
    ORDER BY problem = '', MAX(verified, received) LIMIT 500
)
SELECT host, name, size, changed, received, text, first, sha256, verified, problem, tried
FROM oldest JOIN heads ON id = head ORDER BY problem = '', MAX(verified, received)"""
# Not SELECT DISTINCT, which goes through every file.
_HOSTS: Final = """
WITH RECURSIVE each(host) AS (
    SELECT MIN(host) FROM files
    UNION ALL SELECT (SELECT MIN(host) FROM files WHERE host > each.host) FROM each WHERE host NOTNULL
)
SELECT host FROM each WHERE host NOTNULL UNION SELECT host FROM glances"""
# By this index, because SQLite prefers to go through every file of the host.
_SUSPECTS: Final = """
SELECT name FROM files INDEXED BY suspects
WHERE host = ? AND (problem != '' OR (sha256 != '' AND sha256 != first))"""
_DAY: Final = 86400
_FEW_HEADS: Final = 32
"""So many are not worth going through all files, to see which of them are still of any."""

_FEW: Final = 100
"""So many files are asked for one by one."""


class Seen(NamedTuple):
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


def memories(path: Path) -> Iterator[Callable[[], "Memory"]]:
    """Ways to have a memory, the next one to be tried where one cannot be opened, or fails at any time:
    the one at `path`; one for this look only, with what can be read there; and one that knows nothing.
    """
    yield lambda: Memory(path)
    yield lambda: Memory(path, copied=True)
    yield lambda: Memory(None)


class Memory:
    """One mirror's memory. `Memory(None)` is one that lasts for this look only. Whatever it is asked or
    told, NotKeptError says that its file cannot be written or read.
    """

    def __init__(self, path: Path | None, *, copied: bool = False) -> None:
        """With `copied` it begins with what can be read of the file, and lasts for this look only."""
        self.store = Store.copied(path) if path and copied else Store(path)
        self.lasting = path is not None and not copied
        self._db = self.store.db

    def seen(self, host: str, names: Sequence[str] | None = None) -> dict[str, Seen]:
        """What is known of a host's files, or of those of these names, by name."""
        with self.store.explained():
            if names is None or len(names) > _FEW:
                rows = self._db.execute(_SEEN, (host,)).fetchall()
            else:
                one = f"{_SEEN} AND name = ?"
                rows = [row for name in names for row in self._db.execute(one, (host, name))]
            return {row[0]: _seen(row) for row in rows}

    def others(self, host: str, but: Collection[str]) -> set[str]:
        """The names of a host's files of which something is known, but for these, which all are."""
        with self.store.explained():
            [(number,)] = self._db.execute("SELECT COUNT(*) FROM files WHERE host = ?", (host,))
            if number == len(but):
                return set()
            rows = self._db.execute("SELECT name FROM files WHERE host = ?", (host,))
            return {row[0] for row in rows}.difference(but)

    def suspects(self, host: str) -> frozenset[str]:
        """The names of a host's files that could not be read, or hold what they did not hold first."""
        with self.store.explained():
            return frozenset(row[0] for row in self._db.execute(_SUSPECTS, (host,)))

    def remember(self, host: str, files: Iterable[Seen]) -> None:
        """Remember these files."""
        if all_of_them := list(files):
            with self.store.transaction():
                # In here, so that no other process takes a head for one that no file has.
                # By identity: the files of a host share theirs, and there are many.
                heads = {id(each.head): each.head for each in all_of_them}
                numbers = {identity: self._number(head) for identity, head in heads.items()}
                rows = ((host, *each[:4], numbers[id(each.head)], *each[5:]) for each in all_of_them)
                self._db.executemany(_REMEMBER, rows)

    def forget(self, host: str, names: Iterable[str]) -> None:
        """Forget files of these names."""
        if rows := [(host, name) for name in names]:
            with self.store.transaction():
                self._db.executemany("DELETE FROM files WHERE host = ? AND name = ?", rows)

    def forget_hosts(self, but: Iterable[str]) -> None:
        """Forget every host but these, and what no file has any more."""
        with self.store.transaction():
            gone = {row[0] for row in self._db.execute(_HOSTS)}.difference(but)
            for host in gone:
                for table in ("files", "glances", "settled_sets"):
                    self._db.execute(f"DELETE FROM {table} WHERE host = ?", (host,))  # noqa: S608
            [(heads,)] = self._db.execute("SELECT COUNT(*) FROM heads")
            if gone or heads > _FEW_HEADS:
                self._db.execute("DELETE FROM heads WHERE id NOT IN (SELECT head FROM files)")

    def oldest_first(self, verified_before: float, tried_before: float) -> list[tuple[str, Seen]]:
        """Some of the files that were neither read nor tried since these times (epoch seconds), and their
        hosts: what could not be read first, and then what waits longest; none when there are no more.

        A file that was never read waits since it came: the door knew its digest then.
        """
        with self.store.explained():
            rows = self._db.execute(_OLDEST, (verified_before, tried_before)).fetchall()
            return [(row[0], _seen(row[1:])) for row in rows]

    def coverage(self, since: float) -> Coverage:
        """How much was read since a time (epoch seconds)."""
        with self.store.explained():
            row = self._db.execute(
                "SELECT COUNT(*), TOTAL(size), TOTAL(verified >= :since), "
                "TOTAL(CASE WHEN verified >= :since THEN size END), "
                "MIN(MAX(verified, received, :begun)) FROM files",
                {"since": since, "begun": float(self.mark("begun") or 0)},
            ).fetchone()
        files, size, files_read, size_read, waiting_since = row
        return Coverage(files, int(size), int(files_read), int(size_read), waiting_since)

    def record_room(self, at: float, free: int) -> None:
        """Remember how many octets were free on the vault's disk; one a day is kept, for a year."""
        with self.store.explained():
            self._db.execute("INSERT OR REPLACE INTO room VALUES (?, ?, ?)", (int(at // _DAY), at, free))
            self._db.execute("DELETE FROM room WHERE at < ?", (at - 365 * _DAY,))

    def room(self, since: float) -> list[tuple[float, int]]:
        """Times (epoch seconds) and free octets since a time, oldest first."""
        with self.store.explained():
            rows = self._db.execute("SELECT at, free FROM room WHERE at >= ? ORDER BY at", (since,))
            return rows.fetchall()

    def mark(self, name: str) -> str | None:
        """What was noted under this name."""
        with self.store.explained():
            row = self._db.execute("SELECT value FROM marks WHERE name = ?", (name,)).fetchone()
        return row[0] if row else None

    def set_mark(self, name: str, value: str) -> None:
        """Note something under a name."""
        with self.store.explained():
            self._db.execute("INSERT OR REPLACE INTO marks VALUES (?, ?)", (name, value))

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def _number(self, head: Head | None) -> int:
        """The number of a head, which is made known where it is new."""
        text = _write_head(head)
        self._db.execute("INSERT OR IGNORE INTO heads (text) VALUES (?)", (text,))
        [(number,)] = self._db.execute("SELECT id FROM heads WHERE text = ?", (text,))
        return int(number)


def _seen(row: tuple[Any, ...]) -> Seen:
    name, size, changed, received, text, first, sha256, verified, problem, tried = row
    return Seen(name, size, changed, received, _read_head(text), first, sha256, verified, problem, tried)


def _write_head(head: Head | None) -> str:
    if head is None:
        return ""
    recipients = [[r.issuer.hex(), f"{r.serial:x}", r.key_id.hex()] for r in head.recipients]
    return json.dumps(vars(head) | {"recipients": recipients}, sort_keys=True)


@lru_cache(1000)
def _read_head(text: str) -> Head | None:
    if not text:
        return None
    fields: dict[str, Any] = json.loads(text)
    fields["recipients"] = tuple(
        RecipientId(bytes.fromhex(issuer), int(serial, 16), bytes.fromhex(key_id))
        for issuer, serial, key_id in fields["recipients"]
    )
    return Head(**fields)
