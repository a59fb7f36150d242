"""A request's body, octet for octet, straight off the connection: by length, or in chunks, strictly.

The first read answers `Expect: 100-continue`, so a client that waits for that sends nothing before
everything that can be checked without the body has been checked.
"""

import re
from http import HTTPStatus
from typing import Final

from nightdrop_server.answers import Refused
from nightdrop_server.heads import Head
from nightdrop_server.wire import WORTH, Gone, TooLong, Wire

_CHUNK_SIZE = re.compile(rb"([0-9A-Fa-f]{1,12})(?:;[^\0-\x08\x0a-\x1f\x7f]*)?\r\n")
_MAX_CHUNK_LINE: Final = 256
_MAX_TRAILERS: Final = 8192

_TIRING: Final = 256 * 1024
"""So many octets may be lacking in all, before whoever reads the body should rest."""


class Body:
    """The body of one request; `read` is how many octets of it were received so far."""

    def __init__(self, head: Head, wire: Wire) -> None:
        self.length = head.length
        self.read = 0
        self._wire = wire
        self._expected = head.expects_continue
        self._chunk_left = 0
        self._lacking = 0
        self._forgiven = wire.lacking
        self._finished = head.length == 0

    @property
    def finished(self) -> bool:
        """Whether all of it was read, so that another request may follow on the connection."""
        return self._finished

    @property
    def waiting(self) -> bool:
        """Whether the client waits for our word before it sends the body."""
        return self._expected and not self._finished

    def fill(self, view: memoryview) -> int:
        """Fill `view` from the body and say how many octets: fewer than it holds only at the body's end
        or where it is `tiring`, 0 when there is nothing more. Refused where the body is cut off or no
        body at all.
        """
        filled = 0
        if self._expected and not self._finished:
            self._expected = False
            self._send_continue()
        try:
            while filled < len(view) and (left := self._left()):
                octets = self._wire.into(view[filled : filled + left])
                filled += octets
                self.read += octets
                if self.length is None:
                    self._chunk_left -= octets
                if self.tiring:
                    break
        except Gone as gone:
            raise self._cut(gone) from gone
        except TooLong as error:
            raise _broken() from error
        return filled

    @property
    def tiring(self) -> bool:
        """Whether it comes in so many small chunks, or records of TLS, that others should be let to work
        first. To find where one ends is as much work as to write a kilobyte.
        """
        return self._lacking + self._wire.lacking - self._forgiven >= _TIRING

    def rested(self) -> None:
        """They were."""
        self._lacking, self._forgiven = 0, self._wire.lacking

    def all(self, limit: int) -> bytes:
        """A short body whole; Refused if it is longer than `limit` octets."""
        buffer = memoryview(bytearray(limit + 1))
        length = 0
        while length <= limit and (octets := self.fill(buffer[length:])):
            length += octets
        if length > limit:
            raise Refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "this body is too long")
        return bytes(buffer[:length])

    def _left(self) -> int:
        """How many octets follow before the next boundary, 0 at the body's end."""
        if self._finished:
            return 0
        if self.length is not None:
            left = self.length - self.read
        else:
            left = self._chunk_left or self._next_chunk()
        self._finished = left == 0
        return left

    def _next_chunk(self) -> int:
        """Read up to the next chunk's octets, and how many they are (RFC 9112, section 7.1)."""
        if self.read and self._wire.line(_MAX_CHUNK_LINE) != b"\r\n":
            raise _broken()
        found = _CHUNK_SIZE.fullmatch(self._wire.line(_MAX_CHUNK_LINE))
        if found is None:
            raise _broken()
        self._chunk_left = int(found[1], 16)
        self._lacking = max(0, self._lacking + WORTH - self._chunk_left)
        if self._chunk_left == 0:
            self._skip_trailers()
        return self._chunk_left

    def _skip_trailers(self) -> None:
        left = _MAX_TRAILERS
        while (line := self._wire.line(left)) != b"\r\n":
            left -= len(line)
            if not line.endswith(b"\r\n"):
                raise _broken()

    def _send_continue(self) -> None:
        try:
            self._wire.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        except Gone as gone:
            raise self._cut(gone) from gone

    def _cut(self, gone: Gone) -> Refused:
        of = "" if self.length is None else f" of {self.length}"
        if gone.silent:
            return Refused(
                HTTPStatus.REQUEST_TIMEOUT, f"the body stalled after {self.read}{of} bytes; nothing kept"
            )
        return Refused(
            HTTPStatus.BAD_REQUEST, f"the body ended after {self.read}{of} bytes; nothing kept"
        )


def _broken() -> Refused:
    return Refused(HTTPStatus.BAD_REQUEST, "the body's chunks are malformed; nothing kept")
