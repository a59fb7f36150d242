"""Having duplicity restore only what is chosen, and to where it goes."""

import os
import time
from collections.abc import Callable, Iterator
from typing import Any

from duplicity import manifest, patchdir
from duplicity.path import ROPath, StatResult

from nightdrop_restore.choosing import Choice, Entry, chosen
from nightdrop_restore.items import Index


def restore_only(choice: Choice, on_unrestored: Callable[[Index, str], object]) -> None:
    """Have duplicity restore only this; tell of paths that are not there, or refused."""
    if choice.paths:
        manifest.Manifest.get_containing_volumes = _volumes_of(choice)
    integrate = patchdir.tarfiles2rop_iter

    def placed(tarfiles: list[Any], _index: Index = ()) -> Iterator[ROPath]:
        missing = dict.fromkeys(choice.indexes)
        begun = False

        def refuse(index: Index) -> None:
            on_unrestored(index, "what should be its folder is none")

        for path in chosen(integrate(tarfiles), _entry, choice, refuse):
            for index in [index for index in missing if path.index[: len(index)] == index]:
                del missing[index]
            path.whole_index = path.index
            path.index = path.index[choice.strip :]
            # duplicity takes the first for the root of all that follow.
            if not begun and path.index:
                yield _root()
            begun = True
            yield path
        for index in missing:
            if begun:
                on_unrestored(index, "it is not in the backup")

    patchdir.tarfiles2rop_iter = placed


def _entry(path: ROPath) -> Entry:
    return Entry(path.index, path.isdir())


def _root() -> ROPath:
    """A folder of ours, where the backup's own is not to be had."""
    root = ROPath(())
    root.type, root.mode, root.stat = "dir", 0o700, StatResult()
    root.stat.st_uid, root.stat.st_gid, root.stat.st_mtime = os.geteuid(), os.getegid(), int(time.time())
    return root


def _volumes_of(choice: Choice) -> Callable[[Any, Index], list[int]]:
    """The volumes of a set that hold anything of what is chosen, or a folder above it."""

    def volumes(self: Any, _prefix: Index) -> list[int]:
        above = {index[:end] for index in choice.indexes for end in range(choice.strip, len(index))}
        return [
            number
            for number, info in self.volume_info_dict.items()
            if any(info.contains(index) for index in choice.indexes)
            or any(info.start_index <= index <= info.end_index for index in above)
        ]

    return volumes
