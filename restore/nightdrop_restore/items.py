"""What comes out of a backup: things with a path, as whoever reads a backup hands them to a writer."""

import os
from collections.abc import Callable
from typing import Literal, NamedTuple, Protocol

Index = tuple[bytes, ...]
"""A path below the folder that is restored to, taken apart."""

Type = Literal["file", "folder", "link", "name", "pipe", "character device", "block device"]


class Content(Protocol):
    """What is in a file, from its beginning to its end."""

    def read(self, octets: int, /) -> bytes:
        """At most so many octets; b"" at the end."""

    def close(self) -> object:
        """Nothing more is read."""


class Item(NamedTuple):
    """One thing: `path` is where it goes, `mtime` in seconds since the epoch.

    `target` is where a link points, or for a further name of a file the path of that file; `device` the
    numbers of a device. `content` opens what is in a file; `flaw` says, once that was read, what is
    wrong with it ("" if nothing).
    """

    path: Index
    type: Type
    mode: int
    owner: int
    group: int
    mtime: float
    target: bytes = b""
    device: tuple[int, int] = (0, 0)
    content: Callable[[], Content] | None = None
    flaw: Callable[[], str] = str


def shown(index: Index) -> str:
    """A path as text."""
    return os.fsdecode(b"/".join(index)) or "."
