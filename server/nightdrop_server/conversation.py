"""What is said on one connection: a head is read, the door asked, the answer sent, a line logged."""

import threading
import time
from collections.abc import Callable
from contextlib import nullcontext
from email.utils import formatdate
from http import HTTPStatus
from typing import Final

from nightdrop_server import log
from nightdrop_server.answers import Answer, Refused
from nightdrop_server.body import Body
from nightdrop_server.heads import Head, parse_head
from nightdrop_server.request import Request
from nightdrop_server.wire import Gone, TooLong, Wire

MAX_HEAD: Final = 16 * 1024
"""Longest head of a request, in octets."""

HEAD_DEADLINE: Final = 15.0
"""Seconds in which a request's head, and before it a TLS handshake, has to be complete."""

MIN_RATE: Final = 500
"""Octets a second that a body has to bring, over every `RATE_WINDOW` seconds that we wait for it."""

RATE_WINDOW: Final = 60

_PIECE: Final = 256 * 1024

_LINGERING: Final = threading.BoundedSemaphore(16)


class Conversation:
    """One connection's requests and answers, one after the other.

    `trusted` is true once a host has proved who it is here. Every request is told to `account`.
    """

    def __init__(
        self, wire: Wire, address: str, account: Callable[[log.Access], None] = log.access
    ) -> None:
        self.trusted = False
        self._account = account
        self._wire = wire
        self._address = address
        self._head_since: float | None = None
        self._waited = 0
        self._received_before = 0

    def begin(self) -> None:
        """From now on a head is due."""
        self._head_since = time.monotonic()

    def overdue(self, now: float) -> bool:
        """Whether the head takes too long, or the body comes too slowly; asked once a second."""
        if self._head_since is not None:
            return now - self._head_since > HEAD_DEADLINE
        # Only time spent waiting for the client counts, not ours with the disk.
        self._waited += self._wire.receiving
        if self._waited < RATE_WINDOW:
            return False
        received = self._wire.received - self._received_before
        self._waited, self._received_before = 0, self._wire.received
        return received < MIN_RATE * RATE_WINDOW

    def exchange(self, respond: Callable[[Request], Answer], may_keep: Callable[[], bool]) -> bool:
        """Take one request and answer it; whether the connection is good for another.

        Gone if the client is.
        """
        started, received = time.monotonic(), self._wire.received
        try:
            head = _read_head(self._wire)
        except Refused as refused:
            answer = refused.answer()
            self._log(None, None, answer, started, self._wire.received - received)
            _send(self._wire, answer, keep=False, with_body=True)
            linger(self._wire)
            return False
        if head is None:
            return False
        self._head_since = None
        self._waited, self._received_before = 0, self._wire.received
        body = Body(head, self._wire)
        request = Request(head, body, self._address)
        answer = respond(request)
        self._log(head, request, answer, started, self._wire.received - received)
        self.trusted = self.trusted or request.host != "-"
        keep = head.keep_alive and body.finished and may_keep()
        keep = _send(self._wire, answer, keep, with_body=head.method != "HEAD")
        if not body.finished:
            linger(self._wire, self.trusted)
        return keep

    def _log(
        self, head: Head | None, request: Request | None, answer: Answer, started: float, octets: int
    ) -> None:
        self._account(
            log.Access(
                address=request.address if request else self._address,
                host=request.host if request else "-",
                method=head.method if head else "-",
                target=head.target if head else "-",
                status=answer.status,
                octets=octets,
                seconds=time.monotonic() - started,
                reason=answer.reason,
            )
        )


def linger(wire: Wire, trusted: bool = False) -> None:
    """Wait a little until the client has read our answer, unless too many are waited for already.

    Many clients send a whole body before they look for an answer. A host that we know is given the
    time for that, so that it learns why; anybody else little.
    """
    if _LINGERING.acquire(blocking=False):
        try:
            if trusted:
                wire.linger(seconds=60, octets=2**30)
            else:
                wire.linger(seconds=2, octets=2**26)
        finally:
            _LINGERING.release()


def _read_head(wire: Wire) -> Head | None:
    """The next request's head, None if the client has no more to say; Refused if it is no good."""
    lines: list[bytes] = []
    left = MAX_HEAD
    try:
        line = wire.line(left)
        if line == b"\r\n":
            # One empty line before a request is forgiven (RFC 9112, section 2.2).
            line = wire.line(left)
        while line != b"\r\n":
            if not line.endswith(b"\r\n"):
                raise Refused(HTTPStatus.BAD_REQUEST, "bad request: lines end with CR LF")
            lines.append(line)
            left -= len(line)
            line = wire.line(left)
    except TooLong as error:
        raise Refused(
            HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, f"the head is longer than {MAX_HEAD} bytes"
        ) from error
    except Gone as gone:
        if gone.silent and lines:
            raise Refused(HTTPStatus.REQUEST_TIMEOUT, "the head took too long") from gone
        return None
    return parse_head(lines)


def _send(wire: Wire, answer: Answer, keep: bool, with_body: bool) -> bool:
    """Send an answer; whether the connection is still good for another."""
    with answer.stream.file if answer.stream else nullcontext() as file:
        length = answer.stream.length if answer.stream else len(answer.body)
        lines = [
            f"HTTP/1.1 {answer.status.value} {answer.status.phrase}",
            f"Date: {formatdate(usegmt=True)}",
            "Server: nightdrop",
            *(f"{name}: {value}" for name, value in answer.fields),
        ]
        if answer.status != HTTPStatus.NO_CONTENT:
            lines.append(f"Content-Length: {length}")
        if not keep:
            lines.append("Connection: close")
        head = "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n"
        wire.send(head + answer.body if with_body else head)
        if file is None or not with_body:
            return keep
        try:
            while length and (octets := file.read(min(length, _PIECE))):
                wire.send(octets)
                length -= len(octets)
        except OSError as error:
            log.fault(error)
    # A file that cannot be read to its end: the client sees a body that was cut off.
    return keep and not length
