"""SQLite files that stay when the version changes.

Tables are only ever added: a newer version makes what a file lacks, and an older one, put back, goes by
the rest. Should that not do one day, the number of the format rises, and who does not know it leaves the
file alone: to guess would lose what it holds.
"""

import sqlite3
from typing import Final

from nightdrop.errors import NightdropError

FORMAT: Final = 1


class NewerFormatError(NightdropError):
    """A file that a newer version of Nightdrop has changed in a way that this one does not know."""

    def __init__(self, what: str) -> None:
        super().__init__(
            f"{what} is a newer Nightdrop's: this version does not know its format",
            "install that version again",
        )


def refuse_newer(db: sqlite3.Connection, what: str) -> int:
    """The number of its format, 0 of one that was never laid out; NewerFormatError names it as `what`."""
    [(found,)] = db.execute("PRAGMA user_version")
    if found > FORMAT:
        raise NewerFormatError(what)
    return int(found)


def lay_out(db: sqlite3.Connection, schema: str, what: str) -> None:
    """Make what it lacks of these tables."""
    found = refuse_newer(db, what)
    db.executescript(schema)
    if found < FORMAT:
        db.execute(f"PRAGMA user_version={FORMAT}")
