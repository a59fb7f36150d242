"""Paths that were not restored, or are not quite what they were, and why: any number of them."""

import tempfile
from collections.abc import Iterator
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import sqlite3

_SCHEMA: Final = """
    CREATE TABLE reasons (number INTEGER PRIMARY KEY, text BLOB NOT NULL UNIQUE);
    CREATE TABLE paths (path BLOB PRIMARY KEY, reason INTEGER NOT NULL) WITHOUT ROWID;
"""


class Reasons:
    """Paths with their reasons; of each path, the last that was told. Safe between threads.

    `folder` is where it may write, as soon as there is something to note down.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder
        self._lock = Lock()
        self._opened: sqlite3.Connection | None = None

    def note(self, path: str, reason: str) -> None:
        """Note it down; NightdropError if there is no room for it."""
        from nightdrop_restore.writing.scratch import written_to_scratch

        with self._lock, written_to_scratch():
            self._database.execute(
                "INSERT INTO reasons (text) VALUES (?) ON CONFLICT DO NOTHING", (_octets(reason),)
            )
            self._database.execute(
                "INSERT OR REPLACE INTO paths SELECT ?, number FROM reasons WHERE text = ?",
                (_octets(path), _octets(reason)),
            )

    def of(self, path: str) -> str | None:
        """The reason that was told of a path; None for one of which nothing was."""
        for _path, reason in self._found("WHERE path = ?", _octets(path)):
            return reason
        return None

    def __len__(self) -> int:
        if self._opened is None:
            return 0
        [(number,)] = self._opened.execute("SELECT count(*) FROM paths")
        return int(number)

    def items(self) -> Iterator[tuple[str, str]]:
        """Each path and its reason, sorted by path."""
        return self._found("ORDER BY path")

    def by_reason(self) -> Iterator[tuple[str, Iterator[str]]]:
        """Each reason, in the order in which they were told first, and its paths, sorted."""
        if self._opened is None:
            return
        self._opened.execute("CREATE INDEX IF NOT EXISTS by_reason ON paths (reason)")
        used = "SELECT number, text FROM reasons WHERE number IN (SELECT reason FROM paths)"
        for number, text in self._opened.execute(f"{used} ORDER BY number"):
            yield _text(text), (path for path, _ in self._found("WHERE reason = ? ORDER BY path", number))

    @property
    def _database(self) -> "sqlite3.Connection":
        # It takes a few milliseconds to load, and most restores have nothing to tell.
        from nightdrop_restore.writing.scratch import scratch_database

        if self._opened is None:
            self._opened = scratch_database(self._folder or Path(tempfile.gettempdir()), _SCHEMA)
        return self._opened

    def _found(self, which: str, *values: object) -> Iterator[tuple[str, str]]:
        if self._opened is None:
            return
        joined = "SELECT path, text FROM paths JOIN reasons ON reason = number"
        for path, reason in self._opened.execute(f"{joined} {which}", values):
            yield _text(path), _text(reason)


def _octets(text: str) -> bytes:
    """Any text, that of a name which is not UTF-8, too: SQLite's own text could not hold it."""
    return text.encode("utf-8", "surrogatepass")


def _text(octets: bytes) -> str:
    return octets.decode("utf-8", "surrogatepass")
