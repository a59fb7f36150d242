"""What a restore that is killed leaves behind, and how one that is run again knows it.

A file or a folder has its own mode only when all the rest is as it was. Until then it has one that
nobody gives to a file, and hardly anybody to a folder: sticky, and for its owner alone. Where a file
system keeps no modes, as on a FAT stick, nobody can tell.
"""

import os
import re
import secrets
import stat
from typing import Final

FILE: Final = stat.S_ISVTX | 0o600
FOLDER: Final = stat.S_ISVTX | 0o700

_TEMPORARY: Final = re.compile(rb"\.nightdrop-[0-9a-f]{16}")


def is_unfinished(found: os.stat_result) -> bool:
    """Whether this is a file or a folder that was never finished."""
    return found.st_mode in (stat.S_IFREG | FILE, stat.S_IFDIR | FOLDER)


def temporary_name() -> bytes:
    """A name that nobody who chose the names in the backup could have taken."""
    return f".nightdrop-{secrets.token_hex(8)}".encode()


def remove_temporary(folder: int) -> None:
    """Remove what has such a name in a folder, of which this is a descriptor."""
    for name in map(os.fsencode, os.listdir(folder)):
        if _TEMPORARY.fullmatch(name) and not stat.S_ISDIR(
            os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode
        ):
            os.unlink(name, dir_fd=folder)
