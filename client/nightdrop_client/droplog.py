"""The drop log: what this client dropped, on which mirror, and which sets it finished.

This, and never a mirror's word, is what the client believes: a mirror that lies or was emptied cannot
talk duplicity into throwing local metadata away or into building on what is not there. SQLite, written
by the run and by its duplicity process; a row is there only after the mirror said 201 or 204.

A log in which the disk changed something (see `rowsum`) is not believed in anything.
"""

import sqlite3
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from nightdrop.databases import lay_out
from nightdrop.errors import NightdropError
from nightdrop.names import SetKey, parse_name
from nightdrop.receipts import ReceiptFile
from nightdrop_client.rowsum import keep_sum

_HINT = "if it is damaged, move it away: the next run will be a full"
_NOT_ITS_FAULT: Final = (
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_NOMEM,
    sqlite3.SQLITE_PERM,
    sqlite3.SQLITE_READONLY,
)
_TABLES: Final = ("owner", "drops", "sets", "kept", "retired", "failed_sources", "times", "receipts")

_SCHEMA = """
CREATE TABLE IF NOT EXISTS owner (
    host TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS drops (
    mirror TEXT NOT NULL,
    stem TEXT NOT NULL,
    name TEXT NOT NULL,
    size INTEGER NOT NULL,
    sha256 TEXT NOT NULL,
    at REAL NOT NULL,
    PRIMARY KEY (mirror, name)
);
CREATE INDEX IF NOT EXISTS drops_of_set ON drops (stem);
CREATE TABLE IF NOT EXISTS sets (
    stem TEXT PRIMARY KEY,
    started REAL NOT NULL,
    finished REAL NOT NULL,
    size INTEGER NOT NULL,
    files INTEGER NOT NULL,
    unread INTEGER NOT NULL,
    supplement BLOB NOT NULL
);
CREATE TABLE IF NOT EXISTS kept (
    stem TEXT NOT NULL,
    name TEXT NOT NULL,
    size INTEGER NOT NULL,
    sha256 TEXT NOT NULL,
    PRIMARY KEY (stem, name)
);
CREATE TABLE IF NOT EXISTS retired (
    stem TEXT PRIMARY KEY
);
CREATE TABLE IF NOT EXISTS failed_sources (
    stem TEXT NOT NULL,
    place TEXT NOT NULL,
    reason TEXT NOT NULL,
    PRIMARY KEY (stem, place)
);
CREATE TABLE IF NOT EXISTS times (
    time INTEGER PRIMARY KEY
);
CREATE TABLE IF NOT EXISTS receipts (
    number INTEGER PRIMARY KEY,
    stem TEXT NOT NULL UNIQUE,
    sha256 TEXT NOT NULL
);
"""


class DamagedLogError(NightdropError):
    """A drop log in which something is not as it was written."""


@dataclass(frozen=True)
class FinishedSet:
    """A set that duplicity finished: when (epoch seconds), what it had read (octets, files, and how
    many of them it could not read), the plain supplement, b"" for none, and the places of the sources
    that failed, with the reasons.
    """

    key: SetKey
    started: float
    finished: float
    size: int
    files: int
    unread: int
    supplement: bytes
    failed: dict[str, str] = field(default_factory=dict)


class DropLog:
    """The log of one client; safe to share between threads and processes."""

    def __init__(self, path: Path) -> None:
        """Open it, and see that it is as it was written; DamagedLogError if not."""
        self._lock = threading.Lock()
        self._path = path
        with self._explained():
            self._db = sqlite3.connect(path, timeout=60, check_same_thread=False, isolation_level=None)
        try:
            with self._explained():
                self._db.execute("PRAGMA synchronous=FULL")
                lay_out(self._db, _SCHEMA, f"the drop log {path}")
                if flaw := keep_sum(self._db, _TABLES):
                    raise self._damaged(flaw)
        except NightdropError:
            self._db.close()
            raise
        path.chmod(0o600)

    def take_time(self) -> int:
        """The time of a new set, in epoch seconds: now, to a second that no run has had before.

        Written down before anything is sent under names with that time, so that a run that is killed
        and started again at once does not send other bytes under the same names.
        """
        while True:
            now = int(time.time())
            if self._run("INSERT OR IGNORE INTO times VALUES (?) RETURNING time", now):
                return now
            time.sleep(0.1)

    def record(self, mirrors: Sequence[str], key: SetKey, file: ReceiptFile) -> None:
        """Write down that these mirrors have this file of the set `key`."""
        row = (key.stem, file.name, file.size, file.sha256, time.time())
        drops = "INSERT OR REPLACE INTO drops VALUES (?, ?, ?, ?, ?, ?)"
        self._together([(drops, (mirror, *row)) for mirror in mirrors])

    def files(self, key: SetKey, mirror: str | None = None) -> dict[str, ReceiptFile]:
        """The files of a set that were dropped: on this mirror, or on any."""
        rows = self._run(
            "SELECT name, size, sha256 FROM drops WHERE stem = ? AND (? IS NULL OR mirror = ?)"
            " ORDER BY name",
            key.stem,
            mirror,
            mirror,
        )
        return {row[0]: ReceiptFile(*row) for row in rows}

    def mirrors(self) -> list[str]:
        """Every mirror that has ever taken anything."""
        return [row[0] for row in self._run("SELECT DISTINCT mirror FROM drops ORDER BY mirror")]

    def finish(self, done: FinishedSet, kept: Sequence[ReceiptFile] = ()) -> None:
        """Write down that duplicity finished a set: from now on others may build on it. `kept` are the
        files that this needs here.
        """
        stem, facts = done.key.stem, (done.size, done.files, done.unread, done.supplement)
        row = (stem, done.started, done.finished, *facts)
        self._together(
            [
                *(
                    ("INSERT INTO failed_sources VALUES (?, ?, ?)", (stem, place, reason))
                    for place, reason in done.failed.items()
                ),
                *(
                    ("INSERT INTO kept VALUES (?, ?, ?, ?)", (stem, file.name, file.size, file.sha256))
                    for file in kept
                ),
                ("INSERT INTO sets VALUES (?, ?, ?, ?, ?, ?, ?)", row),
            ]
        )

    def kept(self, key: SetKey) -> list[ReceiptFile]:
        """The files that are needed here to build on a set, as they were when it was finished; and the
        signature of its receipt, as it was when that was issued.
        """
        rows = self._run("SELECT name, size, sha256 FROM kept WHERE stem = ?", key.stem)
        return [ReceiptFile(*row) for row in rows]

    def sets(self, retired_too: bool = False) -> list[FinishedSet]:
        """Every finished set, oldest first; those that were retired only if they are asked for."""
        found = []
        retired = {row[0] for row in self._run("SELECT stem FROM retired")}
        for stem, *values in self._run("SELECT * FROM sets"):
            if stem in retired and not retired_too:
                continue
            # A stem is the beginning of a name, so any name of the set gives its key.
            if (name := parse_name(f"{stem}.receipt.json")) is not None:
                failed = self._run("SELECT place, reason FROM failed_sources WHERE stem = ?", stem)
                found.append(FinishedSet(name.set, *(*values, dict(failed))))
        return sorted(found, key=lambda done: done.key.end)

    def forget(self, key: SetKey) -> None:
        """No longer count a set as finished: nothing may build on it. Its names stay taken."""
        self._run("DELETE FROM sets WHERE stem = ?", key.stem)

    def retire(self, keys: Sequence[SetKey]) -> None:
        """No longer count these sets among those to build on, because there are newer ones.

        What was known of those retired before goes, and of sets that never were finished. Their names are
        not taken again: `take_time` sees to that.
        """
        self._together(
            [
                ("DELETE FROM sets WHERE stem IN (SELECT stem FROM retired)", ()),
                ("DELETE FROM retired", ()),
                *(("INSERT INTO retired VALUES (?)", (key.stem,)) for key in keys),
                *(
                    (f"DELETE FROM {table} WHERE stem NOT IN (SELECT stem FROM sets)", ())  # noqa: S608
                    for table in ("drops", "kept", "failed_sources")
                ),
            ]
        )

    def owner(self, host: str) -> str:
        """The host that this log is of: the one that first asked."""
        self._run("INSERT INTO owner SELECT ? WHERE NOT EXISTS (SELECT 1 FROM owner)", host)
        return str(self._run("SELECT host FROM owner")[0][0])

    def receipt_of(self, key: SetKey) -> str | None:
        """The SHA-256 of the receipt issued for a set, or None."""
        rows = self._run("SELECT sha256 FROM receipts WHERE stem = ?", key.stem)
        return rows[0][0] if rows else None

    def last_receipt(self) -> str:
        """The SHA-256 of the newest receipt, "" if there is none yet."""
        rows = self._run("SELECT sha256 FROM receipts ORDER BY number DESC LIMIT 1")
        return rows[0][0] if rows else ""

    def issue(self, key: SetKey, sha256: str, signature: ReceiptFile | None = None) -> None:
        """Write down that the receipt of a set was written, and its signature, if it has one."""
        changes: list[tuple[str, tuple[object, ...]]] = [
            ("INSERT INTO receipts (stem, sha256) VALUES (?, ?)", (key.stem, sha256))
        ]
        if signature is not None:
            row = (key.stem, signature.name, signature.size, signature.sha256)
            changes.append(("INSERT OR REPLACE INTO kept VALUES (?, ?, ?, ?)", row))
        self._together(changes)

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def _run(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        with self._explained(), self._lock:
            return self._db.execute(statement, values).fetchall()

    def _together(self, changes: Sequence[tuple[str, tuple[object, ...]]]) -> None:
        """Make all these changes, or none of them; on the disk they are one."""
        with self._explained(), self._lock, self._db:
            self._db.execute("BEGIN IMMEDIATE")
            for statement, values in changes:
                self._db.execute(statement, values)

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            # Python's own complaints have no such code.
            if getattr(error, "sqlite_errorcode", 0) & 0xFF not in _NOT_ITS_FAULT:
                raise self._damaged(str(error)) from error
            raise NightdropError(f"the drop log {self._path} does not answer: {error}", _HINT) from error
        except UnicodeDecodeError as error:
            # Of what SQLite has to say of a damaged schema, with octets out of it.
            raise self._damaged("its schema cannot be read") from error

    def _damaged(self, how: str) -> DamagedLogError:
        return DamagedLogError(
            f"the drop log {self._path} is damaged: {how}", "the next `nightdrop backup` begins a new one"
        )


def begin_anew(path: Path) -> DropLog:
    """Put a damaged log aside, beside the new one that is returned."""
    for end in ("", "-journal", "-wal", "-shm"):
        with suppress(FileNotFoundError):
            path.with_name(f"{path.name}{end}").replace(path.with_name(f"{path.name}.damaged{end}"))
    return DropLog(path)
