"""What a restore has to keep in mind of paths, on disk: a backup may name more of them than memory holds.

It lies on the disk that is restored to, in a file without a name, and is gone with the process.
"""

import os
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final
from urllib.parse import quote_from_bytes

from nightdrop_restore.writing.room import no_room

# Nobody else ever opens it, and after a crash nobody wants it.
_SETTINGS: Final = """
    PRAGMA journal_mode=OFF;
    PRAGMA synchronous=OFF;
    PRAGMA cache_size=-16384;
"""


def scratch_database(folder: Path, schema: str) -> sqlite3.Connection:
    """Such a database with these tables, in a folder that can be written to."""
    descriptor, name = tempfile.mkstemp(prefix=".nightdrop-", dir=folder)
    os.close(descriptor)
    try:
        uri = f"file:{quote_from_bytes(os.fsencode(name))}?nolock=1"
        database = sqlite3.connect(uri, uri=True, check_same_thread=False, isolation_level=None)
        with written_to_scratch():
            database.executescript(f"{_SETTINGS}{schema}BEGIN;")
    finally:
        Path(name).unlink()
    return database


@contextmanager
def written_to_scratch() -> Iterator[None]:
    """What fails in the block for want of room fails as any other writing of a restore does."""
    try:
        yield
    except sqlite3.OperationalError as error:
        raise no_room(str(error)) from error
