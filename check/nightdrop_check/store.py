"""The file behind the check's memory: SQLite in the mirror's state, which several processes may share."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from nightdrop.databases import lay_out
from nightdrop.errors import VaultError

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
CREATE TABLE IF NOT EXISTS hosts (
    host TEXT PRIMARY KEY,
    basis TEXT NOT NULL,
    until REAL NOT NULL,
    ledger TEXT NOT NULL,
    beyond INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS settled (
    host TEXT NOT NULL,
    stem TEXT NOT NULL,
    text TEXT NOT NULL,
    PRIMARY KEY (host, stem)
) WITHOUT ROWID;
"""


class Store:
    """The open file; `Store(None)` is one that lasts for this process only."""

    def __init__(self, path: Path | None) -> None:
        self._name = str(path) if path else "the check's memory"
        with self.explained():
            self.db = sqlite3.connect(path or ":memory:", timeout=60, isolation_level=None)
            self.db.execute("PRAGMA journal_mode=WAL")
            self.db.execute("PRAGMA synchronous=NORMAL")
            lay_out(self.db, _SCHEMA, self._name)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All that the block writes, or nothing of it; VaultError where it cannot be written."""
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
        """VaultError, with what to do, in place of SQLite's errors."""
        try:
            yield
        except sqlite3.Error as error:
            raise VaultError(
                f"{self._name} does not answer: {error}",
                "it may be removed: then every file is read anew",
            ) from error
