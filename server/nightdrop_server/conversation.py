"""What is said on one connection: a head is read, the door asked, the answer sent, a line logged.

A head is taken as it comes, without waiting for its rest, so no thread is held by a client that
dribbles one. Once it is whole a thread belongs to the request until the answer is sent: bodies and
answers have to move at some rate, and the door lets each host have only so many. An answer to anybody
else is sent as far as it can be without waiting for who does not read it.
"""

import threading
import time
from collections.abc import Callable
from contextlib import nullcontext
from email.utils import formatdate
from http import HTTPStatus
from typing import Final

from nightdrop.text import harmless
from nightdrop_server import log
from nightdrop_server.answers import Answer, Refused
from nightdrop_server.body import Body
from nightdrop_server.heads import Head, parse_head
from nightdrop_server.request import Request
from nightdrop_server.wire import IDLE, TooLong, Wire

MAX_HEAD: Final = 16 * 1024
"""Longest head of a request, in octets."""

HEAD_DEADLINE: Final = 15.0
"""Seconds in which a request's head has to be complete, from its first octet or the handshake's end."""

HANDSHAKE_DEADLINE: Final = 120.0
"""Seconds for a TLS handshake, from its first octet. In it a client calculates: a busy router took more
than 15. Meanwhile it holds no thread, and gives way when connections get scarce.
"""

MIN_RATE: Final = 500
"""Octets a second that have to move, over every `RATE_WINDOW` seconds that we wait for the client."""

RATE_WINDOW: Final = 60

LINGER: Final = 2
"""Seconds that a stranger has for reading why he is refused, before he is hung up on."""

_PIECE: Final = 256 * 1024

MOST_LINGERING: Final = 32
"""How many threads at most wait for clients to read why they were refused."""

_LINGERING: Final = {
    trusted: threading.BoundedSemaphore(MOST_LINGERING // 2) for trusted in (True, False)
}


class Conversation:
    """One connection's requests and answers, one after the other.

    `host` is the one that last proved who it is here, "-" for none yet. Every request is told to
    `account`; `end` ends the connection from another thread.
    """

    def __init__(
        self,
        wire: Wire,
        address: str,
        account: Callable[[log.Access], None],
        end: Callable[[], object],
    ) -> None:
        self.host = "-"
        self._account = account
        self._end = end
        self._wire = wire
        self._address = address
        self._due: float | None = None
        self._started = 0.0
        self._lines: list[bytes] = []
        self._head_left = MAX_HEAD
        self._received_before = 0
        self._waited = 0
        self._moved_before = 0

    def begin(self, deadline: float = HEAD_DEADLINE) -> None:
        """A head or handshake has begun, if it had not already; it has so many seconds."""
        if self._due is None:
            self._started = time.monotonic()
            self._due = self._started + deadline
            self._received_before = self._wire.received

    def shaken(self) -> None:
        """The handshake is done, and now the head is due."""
        self._due = time.monotonic() + HEAD_DEADLINE

    def due(self) -> float | None:
        """When (time.monotonic) what has begun has to be complete; None if nothing has."""
        return self._due

    def begun(self) -> float | None:
        """When (time.monotonic) what is not yet complete began; None if nothing has."""
        return None if self._due is None else self._started

    def crawls(self) -> bool:
        """Whether body or answer move too slowly; asked once a second."""
        # Only time spent waiting for the client counts, not ours with the disk.
        self._waited += self._wire.waiting
        if self._waited < RATE_WINDOW:
            return False
        moved = self._wire.moved - self._moved_before
        self._waited, self._moved_before = 0, self._wire.moved
        return moved < MIN_RATE * RATE_WINDOW

    def go_on(self, respond: Callable[[Request], Answer], may_keep: Callable[[], bool]) -> bool:
        """Take what has come, and answer the request if that makes its head whole; whether the connection
        is good for more. Gone if the client is.
        """
        try:
            head = self._gather_head()
        except Refused as refused:
            self._due = None
            self._wire.may_wait(True)
            answer = refused.answer()
            self._log(None, None, answer)
            _send(self._wire, answer, keep=False, with_body=True, patient=False)
            linger(self._wire)
            return False
        if head is None:
            return True
        self._due = None
        self._wire.may_wait(True)
        self._waited, self._moved_before = 0, self._wire.moved
        body = Body(head, self._wire)
        request = Request(head, body, self._address, self._end)
        with request.turn:
            answer = respond(request)
            self._log(head, request, answer)
            self.host = request.host if request.host != "-" else self.host
            keep = head.keep_alive and body.finished and may_keep()
            keep = _send(self._wire, answer, keep, head.method != "HEAD", request.patient)
        if not body.finished:
            linger(self._wire, self.host != "-")
        self._wire.may_wait(False)
        return keep

    def is_late(self) -> bool:
        """Whether a head or handshake has been under way for longer than it may."""
        return self._due is not None and time.monotonic() >= self._due

    def give_up(self) -> None:
        """Say that the head took too long, if it did; the connection is about to be closed."""
        if self._wire.received and self.is_late():
            answer = Refused(HTTPStatus.REQUEST_TIMEOUT, "the head took too long").answer()
            self._log(None, None, answer)
            self._wire.try_to_send(_head(answer, keep=False) + answer.body)

    def _gather_head(self) -> Head | None:
        """The head, if all of it is there by now; Refused if it is no good."""
        try:
            while (line := self._wire.whole_line(self._head_left)) != b"\r\n" or not self._lines:
                if line is not None:
                    if not line.endswith(b"\r\n"):
                        raise Refused(HTTPStatus.BAD_REQUEST, "bad request: lines end with CR LF")
                    self._lines.append(line)
                    self._head_left -= len(line)
                elif not self._wire.gather():
                    return None
        except TooLong as error:
            raise Refused(
                HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, f"the head is longer than {MAX_HEAD} bytes"
            ) from error
        lines, self._lines, self._head_left = self._lines, [], MAX_HEAD
        # One empty line before a request is forgiven (RFC 9112, section 2.2).
        return parse_head(lines[1:] if lines[0] == b"\r\n" else lines)

    def _log(self, head: Head | None, request: Request | None, answer: Answer) -> None:
        self._account(
            log.Access(
                address=request.address if request else self._address,
                host=request.host if request else "-",
                method=head.method if head else "-",
                target=head.target if head else "-",
                status=answer.status,
                octets=self._wire.received - self._received_before,
                seconds=time.monotonic() - self._started,
                reason=answer.reason,
            )
        )


def linger(wire: Wire, trusted: bool = False) -> None:
    """Wait a little until the client has read our answer, unless too many are waited for already.

    Many clients send a whole body before they look for an answer. A host that we know is given the
    time for that, so that it learns why; anybody else little.
    """
    if _LINGERING[trusted].acquire(blocking=False):
        try:
            if trusted:
                wire.linger(seconds=60, silence=IDLE, octets=2**30)
            else:
                wire.linger(seconds=LINGER, silence=LINGER, octets=2**26)
        finally:
            _LINGERING[trusted].release()


def _send(wire: Wire, answer: Answer, keep: bool, with_body: bool, patient: bool) -> bool:
    """Send an answer, waiting for the client or not; whether the connection is still good for another."""
    with answer.stream.file if answer.stream else nullcontext() as file:
        head = _head(answer, keep)
        body = answer.body if with_body else b""
        if not patient:
            return wire.try_to_send(head + body) and keep
        # The first of it goes with the head; a copy of all, a host could have thirty of.
        wire.send(head + body[:_PIECE])
        wire.send(memoryview(body)[_PIECE:])
        if answer.stream is None or file is None or not with_body:
            return keep
        length = answer.stream.length
        try:
            while length and (octets := file.read(min(length, _PIECE))):
                wire.send(octets)
                length -= len(octets)
        except OSError as error:
            log.fault(error)
    # A file that cannot be read to its end: the client sees a body that was cut off.
    return keep and not length


def _head(answer: Answer, keep: bool) -> bytes:
    # Some clients, duplicity's among them, show their user this phrase and never the body.
    reason = harmless(answer.reason).encode("ascii", "replace").decode()
    why = f": {reason}" if reason else ""
    length = answer.stream.length if answer.stream else len(answer.body)
    lines = [
        f"HTTP/1.1 {answer.status.value} {answer.status.phrase}{why}",
        f"Date: {formatdate(usegmt=True)}",
        "Server: nightdrop",
        *(f"{name}: {value}" for name, value in answer.fields),
    ]
    if answer.status != HTTPStatus.NO_CONTENT:
        lines.append(f"Content-Length: {length}")
    if not keep:
        lines.append("Connection: close")
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n"
