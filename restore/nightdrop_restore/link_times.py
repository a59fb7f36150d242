"""The modification times of symbolic links, which duplicity stores and then does not restore."""

import os
from contextlib import suppress

from duplicity.path import Path, ROPath


def restore_link_times() -> None:
    """Have every symbolic link that duplicity restores get its time of modification, too."""
    original = ROPath.copy

    def copy(self: ROPath, other: Path) -> None:
        original(self, other)
        if self.issym() and self.stat:
            with suppress(OSError):
                os.utime(other.name, (self.stat.st_mtime, self.stat.st_mtime), follow_symlinks=False)

    ROPath.copy = copy
