"""The file behind the check's memory: SQLite in the mirror's state, which several processes may share."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final

from nightdrop.databases import NewerFormatError, lay_out
from nightdrop.errors import VaultError
from nightdrop.full_disks import to_read, why_not_to_write

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
CREATE INDEX IF NOT EXISTS suspects ON files (host, name)
    WHERE problem != '' OR (sha256 != '' AND sha256 != first);
CREATE TABLE IF NOT EXISTS heads (id INTEGER PRIMARY KEY, text TEXT NOT NULL UNIQUE);
CREATE TABLE IF NOT EXISTS room (day INTEGER PRIMARY KEY, at REAL NOT NULL, free INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS marks (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS glances (
    host TEXT PRIMARY KEY,
    basis TEXT NOT NULL,
    until REAL NOT NULL,
    ledger TEXT NOT NULL,
    beyond INTEGER NOT NULL,
    listed REAL NOT NULL,
    listing TEXT NOT NULL,
    loose TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS settled_sets (
    host TEXT NOT NULL,
    stem TEXT NOT NULL,
    kind TEXT NOT NULL,
    end TEXT NOT NULL,
    type TEXT NOT NULL,
    start TEXT NOT NULL,
    told TEXT NOT NULL,
    previous TEXT NOT NULL,
    sha256 TEXT NOT NULL,
    digests TEXT NOT NULL,
    size INTEGER NOT NULL,
    largest INTEGER NOT NULL,
    oldest REAL NOT NULL,
    newest REAL NOT NULL,
    received REAL NOT NULL,
    booked INTEGER NOT NULL,
    came_late INTEGER NOT NULL,
    sealed_to TEXT NOT NULL,
    listing TEXT NOT NULL,
    PRIMARY KEY (host, stem)
) WITHOUT ROWID;
DROP TABLE IF EXISTS hosts;
DROP TABLE IF EXISTS settled;
"""


_HINT: Final = (
    "make room on its disk, or see why it may not be written; until then what is new is told again by "
    "every look, and the page and the numbers beside it stay as they were"
)
_MOST_COPIED: Final = 500_000_000
_BROKEN: Final = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR)


class NotKeptError(VaultError):
    """What is seen cannot be kept, or what was kept cannot be read."""


class Store:
    """The open file; `Store(None)` is one that lasts for this process only. NotKeptError where the file
    cannot be written.
    """

    def __init__(self, path: Path | None) -> None:
        self._name = str(path) if path else "the check's memory"
        with self.explained():
            if path and (why := why_not_to_write(path.parent)):
                raise OSError(why)
            self.db = sqlite3.connect(path or ":memory:", timeout=60, isolation_level=None)
            self.db.execute("PRAGMA journal_mode=WAL")
            self.db.execute("PRAGMA synchronous=NORMAL")
            lay_out(self.db, _SCHEMA, self._name)

    @classmethod
    def copied(cls, path: Path) -> "Store":
        """One that lasts for this process only, and begins with what can be read of a file."""
        store = cls(None)
        with store.explained():
            if path.exists() and path.stat().st_size <= _MOST_COPIED:
                with closing(sqlite3.connect(to_read(path), uri=True)) as there:
                    there.backup(store.db)
            lay_out(store.db, _SCHEMA, store._name)
        return store

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All that the block writes, or nothing of it; NotKeptError where it cannot be written."""
        with self.explained():
            self.db.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                self.db.execute("ROLLBACK")
                raise
            self.db.execute("COMMIT")

    @contextmanager
    def explained(self) -> Iterator[None]:
        """NotKeptError, with what to do, in place of SQLite's errors and the system's."""
        try:
            yield
        except sqlite3.Error as error:
            broken = (getattr(error, "sqlite_errorcode", 0) & 0xFF) in _BROKEN
            hint = "it may be removed: then every file is read anew" if broken else _HINT
            raise NotKeptError(f"{self._name} does not answer: {error}", hint) from error
        except OSError as error:
            raise NotKeptError(f"{self._name} cannot be written: {error}", _HINT) from error
        except NewerFormatError as error:
            raise NotKeptError(error.message, error.hint) from error
