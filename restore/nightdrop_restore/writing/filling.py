"""Writing one file, whole or not at all.

A small one is there at once; if we are killed in that moment, its mode tells. The content of a large one
takes time: until it is whole, it has a name that nobody takes for that of a file that was restored.
"""

import os
from collections.abc import Callable
from contextlib import closing
from typing import Final

from nightdrop_restore.items import Item
from nightdrop_restore.writing.unfinished import FILE, temporary_name

_CHUNK: Final = 256 * 1024


class LeftError(Exception):
    """This thing is not written, because of what this says."""


def write_file(item: Item, within: int, name: bytes, finish: Callable[[int], object]) -> int:
    """Write a file into the folder `within` under a name that must be free (FileExistsError); its octets.

    `finish` gives its descriptor what else it has to have, and at last its mode. LeftError if the
    content turns out not to be what it was.
    """
    assert item.content is not None
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(name, flags, FILE, dir_fd=within)
    has = name
    try:
        with closing(item.content()) as content:
            first = content.read(_CHUNK)
            piece = first and content.read(_CHUNK)
            if piece:
                temporary = temporary_name()
                os.rename(name, temporary, src_dir_fd=within, dst_dir_fd=within)
                has = temporary
            octets = _write(descriptor, first)
            while piece:
                octets += _write(descriptor, piece)
                piece = content.read(_CHUNK)
        _require_good(item)
        finish(descriptor)
        if has != name:
            _give_name(has, name, within)
    except BaseException:
        os.unlink(has, dir_fd=within)
        raise
    finally:
        os.close(descriptor)
    return octets


def _require_good(item: Item) -> None:
    if flaw := item.flaw():
        raise LeftError(flaw)


def _write(descriptor: int, octets: bytes) -> int:
    view = memoryview(octets)
    while view:
        view = view[os.write(descriptor, view) :]
    return len(octets)


def _give_name(temporary: bytes, name: bytes, within: int) -> None:
    """Rename a file that is whole; LeftError if something else has got the name meanwhile."""
    try:
        os.link(temporary, name, src_dir_fd=within, dst_dir_fd=within, follow_symlinks=False)
    except FileExistsError as error:
        raise LeftError("something else took its name meanwhile") from error
    except OSError:
        # A FAT stick has no links.
        os.rename(temporary, name, src_dir_fd=within, dst_dir_fd=within)
    else:
        os.unlink(temporary, dir_fd=within)
