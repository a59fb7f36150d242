"""A sum of all rows of an SQLite database, kept in it: SQLite alone does not notice that the disk changed
an octet in a row, or lost a row.

Each change of a row changes the sum, in the same transaction. Accidents show, and no forger does. The
database itself counts changes, too, also those of an older version of ours, put back, that knows of no
sum: what it left counts as right.
"""

import sqlite3
from collections.abc import Sequence
from functools import reduce
from hashlib import blake2b
from typing import Final

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS sum (
    value INTEGER NOT NULL,
    summed INTEGER NOT NULL,
    changes INTEGER NOT NULL
)
"""

_EVENTS: Final = (("INSERT", "NEW"), ("DELETE", "OLD"))


def keep_sum(db: sqlite3.Connection, tables: Sequence[str]) -> str:
    """What is wrong with these tables, "" if nothing is; from now on this connection keeps their sum.

    Without one yet, what there is counts as right. The connection has to be in autocommit mode.
    """
    db.create_function("folded", -1, _folded, deterministic=True)
    # Otherwise a row that another replaces would stay in the sum.
    db.execute("PRAGMA recursive_triggers=ON")
    with db:
        # All of this sees one state of it, whatever another process writes meanwhile.
        db.execute("BEGIN")
        db.execute(_SCHEMA)
        for table in tables:
            _on_change(db, f"TRIGGER IF NOT EXISTS counted_{table}", table, "changes = changes + 1")
        if [found for (found,) in db.execute("PRAGMA integrity_check")] != ["ok"]:
            return "its pages do not fit together"
        rows = ((table, *row) for table in tables for row in db.execute(f"SELECT * FROM {table}"))  # noqa: S608
        value = reduce(lambda value, row: _folded(value, *row), rows, 0)
        match db.execute("SELECT value, summed, changes FROM sum").fetchall():
            case []:
                db.execute("INSERT INTO sum VALUES (?, 0, 0)", (value,))
            case [(_, summed, changes)] if summed != changes:
                db.execute("UPDATE sum SET value = ?, summed = changes", (value,))
            case [(written, _, _)] if written == value:
                pass
            case _:
                return "its rows are not as they were written"
    for table in tables:
        columns = [row[1] for row in db.execute(f"PRAGMA table_info({table})")]
        row = ", ".join([f"'{table}'", *(f"ROW.{column}" for column in columns)])
        change = f"value = folded(value, {row}), summed = summed + 1"
        _on_change(db, f"TEMP TRIGGER summed_{table}", f"main.{table}", change)
    return ""


def _on_change(db: sqlite3.Connection, trigger: str, table: str, change: str) -> None:
    """Have the sum change with each row that comes or goes; the row is called ROW in `change`."""
    for event, side in _EVENTS:
        then = f"UPDATE sum SET {change.replace('ROW.', f'{side}.')};"  # noqa: S608
        db.execute(f"CREATE {trigger}_{event} AFTER {event} ON {table} BEGIN {then} END")


def _folded(value: int, *row: object) -> int:
    """A sum of rows with one more in it, or without one that is: they cancel out, in whatever order."""
    digest = blake2b(repr(row).encode(), digest_size=8).digest()
    return value ^ int.from_bytes(digest, "big", signed=True)
