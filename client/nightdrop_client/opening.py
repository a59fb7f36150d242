"""Opening a file to back it up, as the one that was seen a moment before.

Folders are read by root, and belong to users, who may be quick: a link put in the place of a file would
have root read another one, and hand it to the user with the next restore; a pipe would have it wait for
ever.
"""

import errno
import os
import stat
from typing import Final

# What duplicity takes for a file that cannot be read. Of anything else it dies.
_HARMLESS: Final = (errno.ENOENT, errno.EACCES, errno.EPERM, errno.EIO)


def open_seen(name: bytes, seen: os.stat_result) -> int:
    """A descriptor of a regular file of the same owner as the one that was `seen` there. OSError if there
    is none by now.
    """
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
    try:
        descriptor = os.open(name, flags)
    except OSError as error:
        if error.errno in _HARMLESS:
            raise
        raise OSError(errno.EIO, error.strerror, name) from error
    found = os.fstat(descriptor)
    # Programs replace files by new ones all the time. What is its owner's, its owner may have.
    if stat.S_ISREG(found.st_mode) and found.st_uid == seen.st_uid:
        return descriptor
    os.close(descriptor)
    raise FileNotFoundError(errno.ENOENT, "it became something else", name)
