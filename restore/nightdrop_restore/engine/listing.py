"""A list of the files in a backup, as duplicity's process makes it and ours reads it.

duplicity's own is lines of text, where a name with a line feed in it can pass for another file, and times
of whatever zone this machine is in.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple, cast

from nightdrop_restore.items import Index, Type

_END: Final = b"\0"
_CHUNK: Final = 1024 * 1024


class Listed(NamedTuple):
    """One thing in a backup: its path, what it is, and when it was changed (seconds since the epoch)."""

    path: Index
    type: Type
    changed: int


def list_to(listing: Path) -> None:
    """Have this process's duplicity write its list to a file."""
    from duplicity import config, diffdir, dup_main, dup_time

    from nightdrop_restore.engine.unpacking import TYPES

    def list_current(collection: Any) -> None:
        time = config.restore_time or dup_time.curtime
        signatures = collection.get_signature_chain_at_time(time).get_fileobjs(time)
        with listing.open("wb") as out:
            for path in diffdir.get_combined_path_iter(signatures):
                if path.difftype != "deleted" and path.type in TYPES:
                    fields = (b"%d" % path.getmtime(), TYPES[path.type].encode(), b"/".join(path.index))
                    out.write(b":".join(fields) + _END)

    dup_main.list_current = list_current


def listed(listing: Path) -> Iterator[Listed]:
    """What is in such a file, which may be longer than memory."""
    rest = b""
    with listing.open("rb") as file:
        while piece := file.read(_CHUNK):
            *lines, rest = (rest + piece).split(_END)
            for line in lines:
                changed, kind, path = line.split(b":", 2)
                index = tuple(path.split(b"/")) if path else ()
                yield Listed(index, cast(Type, kind.decode()), int(changed))
