"""Reading BER from a stream (X.690): definite and indefinite lengths, any segmentation, bounded memory.

The stream comes from whoever could write into a vault. So nothing is believed: an element that is
captured whole has a limit, nesting has a limit, and a stream that ends early is an error, always.
"""

from collections.abc import Callable, Iterator
from typing import Final

from nightdrop.envelope import der
from nightdrop.errors import EnvelopeError

Read = Callable[[int], bytes]

CAPTURE_LIMIT: Final = 1024 * 1024
"""Longest element, in octets, that is taken into memory whole."""

# What an element counts for at least: half a million empty ones are a megabyte, and seconds of work.
_LEAST_WORTH = 32
_CHUNK = 256 * 1024
_DEPTH_LIMIT = 16
_CONSTRUCTED = 0x20
_TOO_LONG = "an element is longer than any that belongs there"


class BerReader:
    """A position in a stream of BER. `read(n)` gives up to n octets, and none only at the end."""

    def __init__(self, read: Read) -> None:
        self._read = read
        self._buffer = b""
        self._at = 0
        self.position = 0

    def header(self) -> tuple[int, int | None]:
        """Tag and length of the element that begins here; the length is None if indefinite."""
        tag, first = self.exactly(2)
        if tag & 0x1F == 0x1F:
            raise EnvelopeError("a tag of more than one octet does not occur in envelopes")
        if first < 0x80:
            return tag, first
        if first == 0x80:
            if not tag & _CONSTRUCTED:
                raise EnvelopeError("a primitive element has an indefinite length")
            return tag, None
        if first > 0x88:
            raise EnvelopeError("a length has more octets than any message could need")
        return tag, int.from_bytes(self.exactly(first & 0x7F), "big")

    def enter(self, tag: int) -> int | None:
        """Go into the constructed element here, which has to have this tag; for `leave`, its end."""
        found, size = self.header()
        if found != tag:
            raise EnvelopeError(f"tag {found:#04x} stands where {tag:#04x} belongs")
        return None if size is None else self.position + size

    def leave(self, end: int | None) -> None:
        """Go out of an element, at whose end the stream has to be."""
        if end is None:
            if self.exactly(2) != der.END_OF_CONTENTS:
                raise EnvelopeError("the end-of-contents octets are missing")
        elif self.position != end:
            raise EnvelopeError("an element does not end where its length says")

    def at_end(self, end: int | None) -> bool:
        """Whether nothing more stands in the element that `enter` gave this `end` for."""
        return self.peek(2) == der.END_OF_CONTENTS if end is None else self.position >= end

    def peek(self, octets: int) -> bytes:
        """The next octets, not consumed; fewer at the end of the stream."""
        self._fill(octets)
        return self._buffer[self._at : self._at + octets]

    def capture(self, limit: int = CAPTURE_LIMIT) -> bytes:
        """The whole element that begins here, every header included, in definite form.

        EnvelopeError if it is longer than `limit`, more or less.
        """
        return self._capture(limit, 0)[0]

    def octet_string(self, implicit: int) -> Iterator[bytes]:
        """The contents of the OCTET STRING here, with this implicit tag number, piece by piece.

        Primitive or constructed, nested as deep as anybody would (X.690, 8.7).
        """
        tag, size = self.header()
        if tag == 0x80 | implicit and size is not None:
            yield from self._pieces(size)
        elif tag == 0xA0 | implicit:
            yield from self._segments(size, 0)
        else:
            raise EnvelopeError(f"tag {tag:#04x} stands where the encrypted content belongs")

    def exactly(self, octets: int) -> bytes:
        """That many octets, few enough to be held in memory."""
        if octets > CAPTURE_LIMIT:
            raise EnvelopeError(_TOO_LONG)
        self._fill(octets)
        out = self._buffer[self._at : self._at + octets]
        if len(out) < octets:
            raise EnvelopeError("it ends in the middle")
        self._at += octets
        self.position += octets
        return out

    def _fill(self, octets: int) -> None:
        while len(self._buffer) - self._at < octets:
            if not (more := self._read(_CHUNK)):
                return
            self._buffer = self._buffer[self._at :] + more
            self._at = 0

    def _pieces(self, size: int) -> Iterator[bytes]:
        while size:
            self._fill(1)
            piece = self._buffer[self._at : self._at + size]
            if not piece:
                raise EnvelopeError("it ends in the middle")
            self._at += len(piece)
            self.position += len(piece)
            size -= len(piece)
            yield piece

    def _segments(self, size: int | None, depth: int) -> Iterator[bytes]:
        if depth > _DEPTH_LIMIT:
            raise EnvelopeError("it is nested too deep")
        end = None if size is None else self.position + size
        while not self.at_end(end):
            tag, inner = self.header()
            if tag == der.OCTET_STRING and inner is not None:
                yield from self._pieces(inner)
            elif tag == der.OCTET_STRING | _CONSTRUCTED:
                yield from self._segments(inner, depth + 1)
            else:
                raise EnvelopeError(f"tag {tag:#04x} stands within the encrypted content")
        self.leave(end)

    def _capture(self, limit: int, depth: int) -> tuple[bytes, int]:
        """The element, and what it counts for."""
        if depth > _DEPTH_LIMIT:
            raise EnvelopeError("it is nested too deep")
        tag, size = self.header()
        if size is not None:
            if size > limit:
                raise EnvelopeError(_TOO_LONG)
            element = bytes((tag,)) + der.length(size) + self.exactly(size)
            return element, max(len(element), _LEAST_WORTH)
        parts: list[bytes] = []
        left = limit
        while self.peek(2) != der.END_OF_CONTENTS:
            part, worth = self._capture(left, depth + 1)
            parts.append(part)
            left -= worth
            if left < 0:
                raise EnvelopeError(_TOO_LONG)
        self.exactly(2)
        return der.element(tag, *parts), limit - left + _LEAST_WORTH
