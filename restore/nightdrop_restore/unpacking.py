"""Having duplicity's files written by our writer, to owners that may be mapped.

duplicity's own would follow links that a forged backup brings along, makes device nodes and programs
with somebody else's rights unasked, and ends at the first file that cannot be written.
"""

import errno
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO, Final, cast

from duplicity import librsync, patchdir
from duplicity.path import ROPath

from nightdrop_restore.losing import Losses
from nightdrop_restore.owners import Owners
from nightdrop_restore.writing import Index, Item, Type, Writer

_TYPES: Final[dict[str, Type]] = {
    "reg": "file",
    "dir": "folder",
    "sym": "link",
    "fifo": "pipe",
    "chr": "character device",
    "blk": "block device",
}


def write_with(make_writer: Callable[[], Writer], losses: Losses) -> None:
    """Have duplicity hand what it restores to a writer, made when there is something to write.

    Where duplicity was told to restore to does not matter then.
    """

    def write(_base: object, paths: Iterator[ROPath]) -> bool:
        writer = None
        try:
            for path in paths:
                if path.type in _TYPES:
                    writer = writer or make_writer()
                    writer.write(_item(path, losses))
        finally:
            if writer is not None:
                writer.close()
        return writer is not None

    patchdir.Write_ROPaths = write


def read_on_after_dots() -> None:
    """Have a path with `..` in it cost nothing else: the writer refuses it; duplicity would give up."""
    original = patchdir.get_index_from_tarinfo

    def get_index_from_tarinfo(tarinfo: Any) -> tuple[Index, str, int]:
        parts = tarinfo.name.split("/")
        if ".." not in parts:
            return original(tarinfo)  # type: ignore[no-any-return]
        # No name in a tar holds a NUL, so this stands for the dots, and for nothing else.
        tarinfo.name = "/".join("\0" if part == ".." else part for part in parts)
        index, difftype, multivol = original(tarinfo)
        return tuple(b".." if part == b"\0" else part for part in index), difftype, multivol

    patchdir.get_index_from_tarinfo = get_index_from_tarinfo


class _Content:
    """The content of a file. Its deltas may end early where a volume is lost: here that is an OSError."""

    def __init__(self, file: Any) -> None:
        self._file = file
        self.close = file.close

    def read(self, octets: int) -> bytes:
        """So many octets, fewer at the end."""
        try:
            return self._file.read(octets)  # type: ignore[no-any-return]
        except librsync.librsyncError as error:
            raise OSError(errno.EIO, f"its changes cannot be put together: {error}") from error


def map_owners(owners: Owners) -> None:
    """Have what duplicity reads belong to whom it is mapped to."""
    original = ROPath.init_from_tarinfo

    def init_from_tarinfo(self: ROPath, tarinfo: Any) -> None:
        original(self, tarinfo)
        if self.stat:
            self.stat.st_uid = owners.user(tarinfo.uname, tarinfo.uid, self.stat.st_uid)
            self.stat.st_gid = owners.group(tarinfo.gname, tarinfo.gid, self.stat.st_gid)

    ROPath.init_from_tarinfo = init_from_tarinfo


def _item(path: ROPath, losses: Losses) -> Item:
    return Item(
        path.index,
        _TYPES[path.type],
        path.mode or 0,
        path.stat.st_uid,
        path.stat.st_gid,
        path.stat.st_mtime,
        target=path.symtext if path.issym() else b"",
        device=path.devnums if path.isdev() else (0, 0),
        content=(lambda: cast("BinaryIO", _Content(path.open("rb")))) if path.isreg() else None,
        flaw=lambda: losses.of(getattr(path, "whole_index", path.index)),
    )
