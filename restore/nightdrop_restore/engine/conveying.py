"""Things to write, on their way from duplicity's process, which reads them, to ours, which writes them.

So both are done at once, each on a core of its own. Small files travel many at a time; the content of a
large one follows it in pieces. marshal is for what one Python tells another of the same version, which
is what these two are, and does no more than take apart numbers, text and octets.
"""

import marshal
import os
import struct
from collections.abc import Iterator
from functools import partial
from io import BytesIO
from typing import BinaryIO, Final

from nightdrop_restore.items import Item

_PIECE: Final = 256 * 1024
_MOST_ITEMS: Final = 200
_LENGTH: Final = struct.Struct("<Q")
_FOLLOWS: Final = True
_FACTS: Final = Item._fields.index("content")


class CutOffError(Exception):
    """What was sent did not come to its end: whoever sent it is gone."""


class Sender:
    """Sends through a pipe. What was written is all there once it is closed."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._items: list[tuple[object, ...]] = []
        self._octets = 0

    def write(self, item: Item) -> None:
        """Send a thing, and what is in it."""
        if item.content is None:
            self._gather(item, None, "")
            return
        content = item.content()
        first = content.read(_PIECE)
        piece = first and content.read(_PIECE)
        if not piece:
            content.close()
            self._gather(item, first, item.flaw())
            return
        self._gather(item, _FOLLOWS, "")
        self._flush()
        self._send(first)
        while piece:
            self._send(piece)
            piece = content.read(_PIECE)
        content.close()
        self._send(b"")
        self._send(item.flaw().encode("utf-8", "surrogateescape"))

    def close(self) -> None:
        """Send what is still here, and that it is all."""
        self._flush()
        self._send(b"")

    def _gather(self, item: Item, content: bytes | bool | None, flaw: str) -> None:
        self._items.append((*item[:_FACTS], content, flaw))
        self._octets += len(content) if isinstance(content, bytes) else 0
        if self._octets > _PIECE or len(self._items) == _MOST_ITEMS:
            self._flush()

    def _flush(self) -> None:
        if self._items:
            self._send(marshal.dumps(self._items))
        self._items.clear()
        self._octets = 0

    def _send(self, octets: bytes) -> None:
        for part in (_LENGTH.pack(len(octets)), octets):
            view = memoryview(part)
            while view:
                view = view[os.write(self._descriptor, view) :]


def received(source: BinaryIO) -> Iterator[Item]:
    """What comes from a sender, as it comes: what is in a thing can be read before the next is asked for.

    Raises CutOffError where it ends too early, as reading the content of such a thing does.
    """
    while batch := _receive(source):
        for *facts, content, flaw in marshal.loads(batch):  # noqa: S302 # from a process of ours
            if content is None:
                yield Item._make((*facts, None, str))
            elif content is not _FOLLOWS:
                yield Item._make((*facts, partial(BytesIO, content), partial(str, flaw)))
            else:
                following = _Following(source)
                yield Item._make((*facts, following.opened, following.flaw))
                while following.read(_PIECE):
                    pass


class _Following:
    """The content of a large file."""

    def __init__(self, source: BinaryIO) -> None:
        self._source = source
        self._flaw: str | None = None

    def opened(self) -> "_Following":
        """Itself: there is nothing to open."""
        return self

    def read(self, _octets: int) -> bytes:
        """The next piece; b"" at the end."""
        if self._flaw is not None:
            return b""
        piece = _receive(self._source)
        if not piece:
            self._flaw = _receive(self._source).decode("utf-8", "surrogateescape")
        return piece

    def flaw(self) -> str:
        """What is wrong with it, known at its end."""
        return self._flaw or ""

    def close(self) -> None:
        """There is nothing to close: what was not read is passed over."""


def _receive(source: BinaryIO) -> bytes:
    return _exactly(source, *_LENGTH.unpack(_exactly(source, _LENGTH.size)))


def _exactly(source: BinaryIO, octets: int) -> bytes:
    found = source.read(octets)
    if len(found) < octets:
        raise CutOffError
    return found
