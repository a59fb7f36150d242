"""The drop log: what this client dropped, on which mirror, and which sets it finished.

This, and never a mirror's word, is what the client believes: a mirror that lies or was emptied cannot
talk duplicity into throwing local metadata away or into building on what is not there. SQLite, written
by the run and by its duplicity process; a row is there only after the mirror said 201 or 204.
"""

import json
import sqlite3
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nightdrop.errors import NightdropError
from nightdrop.names import SetKey, parse_name
from nightdrop.receipts import ReceiptFile

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
CREATE TABLE IF NOT EXISTS metadata (
    stem TEXT NOT NULL,
    name TEXT NOT NULL,
    size INTEGER NOT NULL,
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
        self._lock = threading.Lock()
        try:
            self._db = sqlite3.connect(path, timeout=60, check_same_thread=False, isolation_level=None)
            self._db.execute("PRAGMA synchronous=FULL")
            self._db.executescript(_SCHEMA)
        except sqlite3.Error as error:
            raise NightdropError(
                f"the drop log {path} does not answer: {error}",
                "if it is damaged, move it away: the next run will be a full",
            ) from error
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

    def record(self, mirror: str, key: SetKey, file: ReceiptFile) -> None:
        """Write down that a mirror has this file of the set `key`."""
        self._run(
            "INSERT OR REPLACE INTO drops VALUES (?, ?, ?, ?, ?, ?)",
            mirror,
            key.stem,
            file.name,
            file.size,
            file.sha256,
            time.time(),
        )

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

    def finish(self, done: FinishedSet) -> None:
        """Write down that duplicity finished a set: from now on others may build on it."""
        for place, reason in done.failed.items():
            self._run(
                "INSERT OR REPLACE INTO failed_sources VALUES (?, ?, ?)", done.key.stem, place, reason
            )
        self._run(
            "INSERT INTO sets VALUES (?, ?, ?, ?, ?, ?, ?)",
            done.key.stem,
            done.started,
            done.finished,
            done.size,
            done.files,
            done.unread,
            done.supplement,
        )

    def note_metadata(self, key: SetKey, sizes: Mapping[str, int]) -> None:
        """Write down the files of a set's local metadata, with their sizes in octets."""
        for name, size in sizes.items():
            self._run("INSERT OR REPLACE INTO metadata VALUES (?, ?, ?)", key.stem, name, size)

    def metadata(self, key: SetKey) -> dict[str, int]:
        """What was noted of a set's local metadata: names, and sizes in octets."""
        return {
            row[0]: row[1]
            for row in self._run("SELECT name, size FROM metadata WHERE stem = ?", key.stem)
        }

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
        stems = json.dumps([key.stem for key in keys])
        with self._lock:
            try:
                self._db.execute("BEGIN IMMEDIATE")
                self._db.execute("DELETE FROM sets WHERE stem IN (SELECT stem FROM retired)")
                self._db.execute("DELETE FROM retired")
                self._db.execute("INSERT INTO retired SELECT value FROM json_each(?)", (stems,))
                for table in ("drops", "metadata"):
                    self._db.execute(f"DELETE FROM {table} WHERE stem NOT IN (SELECT stem FROM sets)")  # noqa: S608
                self._db.execute("COMMIT")
            except sqlite3.Error as error:
                raise NightdropError(f"the drop log does not answer: {error}") from error

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

    def issue(self, key: SetKey, sha256: str) -> None:
        """Write down that the receipt of a set was written."""
        self._run("INSERT INTO receipts (stem, sha256) VALUES (?, ?)", key.stem, sha256)

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def _run(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        with self._lock:
            try:
                return self._db.execute(statement, values).fetchall()
            except sqlite3.Error as error:
                raise NightdropError(f"the drop log does not answer: {error}") from error
