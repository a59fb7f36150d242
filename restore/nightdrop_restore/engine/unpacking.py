"""Having duplicity's files written by our writer, in our process, to owners that may be mapped.

duplicity's own would follow links that a forged backup brings along, makes device nodes and programs
with somebody else's rights unasked, and ends at the first file that cannot be written.
"""

from collections.abc import Iterator
from typing import Any, Final

from duplicity import librsync, patchdir
from duplicity.path import ROPath

from nightdrop_restore.engine.conveying import Sender
from nightdrop_restore.engine.losing import Losses
from nightdrop_restore.items import Index, Item, Type
from nightdrop_restore.owners import Owners

TYPES: Final[dict[str, Type]] = {
    "reg": "file",
    "dir": "folder",
    "sym": "link",
    "fifo": "pipe",
    "chr": "character device",
    "blk": "block device",
}


def convey(sender: Sender, losses: Losses) -> None:
    """Have duplicity hand what it restores to a sender, wherever it was told to restore to."""

    def write(_base: object, paths: Iterator[ROPath]) -> bool:
        any_there = False
        for path in paths:
            if path.type in TYPES:
                any_there = True
                sender.write(_item(path, losses))
        sender.close()
        return any_there

    patchdir.Write_ROPaths = write


def read_on_after_dots() -> None:
    """Have a path with `..` in it cost nothing else: the writer refuses it; duplicity would give up."""
    original = patchdir.get_index_from_tarinfo

    def get_index_from_tarinfo(tarinfo: Any) -> tuple[Index, str, int]:
        if ".." not in tarinfo.name:
            return original(tarinfo)  # type: ignore[no-any-return]
        parts = tarinfo.name.split("/")
        # No name in a tar holds a NUL, so this stands for the dots, and for nothing else.
        tarinfo.name = "/".join("\0" if part == ".." else part for part in parts)
        index, difftype, multivol = original(tarinfo)
        return tuple(b".." if part == b"\0" else part for part in index), difftype, multivol

    patchdir.get_index_from_tarinfo = get_index_from_tarinfo


class _Content:
    """The content of a file. Where it cannot be read or put together, it ends, and `flaw` says why."""

    def __init__(self, path: ROPath) -> None:
        self._file = path.open("rb")
        self.close = self._file.close
        self.flaw = ""

    def read(self, octets: int) -> bytes:
        """So many octets, fewer at the end."""
        try:
            return self._file.read(octets)  # type: ignore[no-any-return]
        except librsync.librsyncError as error:
            self.flaw = f"its changes cannot be put together: {error}"
        except OSError as error:
            self.flaw = error.strerror or str(error)
        return b""


def map_owners(owners: Owners) -> None:
    """Have what duplicity reads belong to whom it is mapped to."""
    if not owners.users and not owners.groups:
        return
    original = ROPath.init_from_tarinfo

    def init_from_tarinfo(self: ROPath, tarinfo: Any) -> None:
        original(self, tarinfo)
        if self.stat:
            self.stat.st_uid = owners.user(tarinfo.uname, tarinfo.uid, self.stat.st_uid)
            self.stat.st_gid = owners.group(tarinfo.gname, tarinfo.gid, self.stat.st_gid)

    ROPath.init_from_tarinfo = init_from_tarinfo


def _item(path: ROPath, losses: Losses) -> Item:
    content = _Content(path) if path.isreg() else None
    return Item(
        path.index,
        TYPES[path.type],
        path.mode or 0,
        path.stat.st_uid,
        path.stat.st_gid,
        path.stat.st_mtime,
        target=path.symtext if path.issym() else b"",
        device=path.devnums if path.isdev() else (0, 0),
        content=(lambda: content) if content else None,
        flaw=lambda: (
            losses.of(getattr(path, "whole_index", path.index)) or (content.flaw if content else "")
        ),
    )
