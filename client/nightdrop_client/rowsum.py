"""A sum of all rows of an SQLite database, kept in it: SQLite alone does not notice that the disk changed
an octet in a row, or lost a row.

Each change of a row changes the sum, in the same transaction. Accidents show, and no forger does.
"""

import sqlite3
from collections.abc import Sequence
from functools import reduce
from hashlib import blake2b


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
        db.execute("CREATE TABLE IF NOT EXISTS sum (value INTEGER NOT NULL)")
        if [found for (found,) in db.execute("PRAGMA integrity_check")] != ["ok"]:
            return "its pages do not fit together"
        rows = ((table, *row) for table in tables for row in db.execute(f"SELECT * FROM {table}"))  # noqa: S608
        value = reduce(lambda value, row: _folded(value, *row), rows, 0)
        written = db.execute("SELECT value FROM sum").fetchall()
        if not written:
            db.execute("INSERT INTO sum VALUES (?)", (value,))
        elif written != [(value,)]:
            return "its rows are not as they were written"
    for table in tables:
        columns = [row[1] for row in db.execute(f"PRAGMA table_info({table})")]
        for event, side in (("INSERT", "NEW"), ("DELETE", "OLD")):
            row = ", ".join([f"'{table}'", *(f"{side}.{column}" for column in columns)])
            change = f"UPDATE sum SET value = folded(value, {row});"  # noqa: S608
            db.execute(
                f"CREATE TEMP TRIGGER {table}_{event} AFTER {event} ON main.{table} BEGIN {change} END"
            )
    return ""


def _folded(value: int, *row: object) -> int:
    """A sum of rows with one more in it, or without one that is: they cancel out, in whatever order."""
    digest = blake2b(repr(row).encode(), digest_size=8).digest()
    return value ^ int.from_bytes(digest, "big", signed=True)
