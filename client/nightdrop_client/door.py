"""Speaking to one mirror's door, one request at a time, within bounds whatever the other side does.

`http.client` takes answers apart; the socket is driven here. A socket's own timeout begins anew with
each octet, so an answer that dribbles would never end: the reader below has one deadline for all of it.
"""

import http.client
import io
import select
import socket
import ssl
import time
from base64 import b64encode
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from nightdrop import __version__
from nightdrop.enrolment import BundleMirror
from nightdrop.receipts import ReceiptFile
from nightdrop.text import harmless
from nightdrop_client.limits import Pace

_PIECE: Final = 256 * 1024
_ANSWER_READ: Final = 1024
_CONNECT_TIMEOUT: Final = 10.0
_EARLY_ANSWER: Final = 2.0
_GREETED: Final = (200, 204)
# Only a mirror says that to a PUT; a page to log in says 200 to whatever it is asked.
_TAKEN: Final = (201, 204)
_WORTH_ANOTHER_TRY: Final = (408, 429, 500, 502, 503, 504)

OnBytes = Callable[[int], None]
"""Told of each piece sent: its number of octets."""


def tls_context(mirror: BundleMirror) -> ssl.SSLContext:
    """What TLS goes by: the certificate in the bundle alone, or else the system's authorities."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if mirror.certificate:
        context.load_verify_locations(cadata=mirror.certificate)
    else:
        context.load_default_certs()
    return context


class RefusedError(Exception):
    """A mirror answered, and the answer will not change."""


class UnreachableError(Exception):
    """A mirror did not answer, or not now."""


class Door:
    """One mirror's door, as `host` sees it. Keeps a connection open from one request to the next."""

    def __init__(self, host: str, facts: BundleMirror, pace: Pace) -> None:
        self._host = host
        self._facts = facts
        self._pace = pace
        self._url = urlsplit(f"{facts.url}/{host}/")
        self._secure = self._url.scheme == "https"
        self._socket: socket.socket | None = None

    def another(self) -> "Door":
        """The same door, over a connection of its own."""
        return Door(self._host, self._facts, self._pace)

    def greet(self, patience: float) -> None:
        """Ask whether it is there and takes our password; raises RefusedError and UnreachableError.

        `patience` is how many seconds nothing may happen, in each step: connecting, answering.
        """
        self._judge(self._ask(self._head("OPTIONS", ""), patience), _GREETED, "")

    def put(self, path: Path, file: ReceiptFile, patience: float, on_bytes: OnBytes) -> None:
        """Have it take a file, as `greet` in all else; sending counts as happening."""
        digest = b64encode(bytes.fromhex(file.sha256)).decode()
        fields = [
            "Content-Type: application/octet-stream",
            f"Content-Length: {file.size}",
            # RFC 9530: the mirror compares it with what arrived.
            f"Repr-Digest: sha-256=:{digest}:",
        ]
        head = self._head("PUT", file.name, fields)
        answer = self._ask(head, patience, lambda sock: self._send_file(sock, path, on_bytes))
        self._judge(answer, _TAKEN, file.name)

    def close(self) -> None:
        """Close the connection; another thread that waits for an answer gets none."""
        sock, self._socket = self._socket, None
        if sock is not None:
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
            sock.close()

    def _ask(
        self,
        head: bytes,
        patience: float,
        send_body: Callable[[socket.socket], None] = lambda _socket: None,
    ) -> tuple[int, str]:
        """Send a request: the answer's status, and the beginning of what it says."""
        try:
            sock = self._connected(patience)
            try:
                sock.settimeout(patience)
                _send(sock, head)
                send_body(sock)
            except (ConnectionError, ssl.SSLEOFError, ssl.SSLZeroReturnError):
                # Whoever refuses a file may do so before the end of it: what was said still counts.
                with suppress(OSError, http.client.HTTPException):
                    return self._answer(sock, min(patience, _EARLY_ANSWER))
                raise
            return self._answer(sock, patience)
        except ssl.SSLCertVerificationError as error:
            self.close()
            raise RefusedError(
                f"its certificate is not the one that enrolment pinned ({_reason(error)})"
            ) from error
        except (OSError, http.client.HTTPException, ValueError) as error:
            self.close()
            raise UnreachableError(_reason(error)) from error

    def _connected(self, patience: float) -> socket.socket:
        """The connection: the one that is there if it is alive, or a new one."""
        if self._socket is not None:
            # Nothing was asked, so what there is to read can only be its end.
            if not select.select([self._socket], [], [], 0)[0]:
                return self._socket
            self.close()
        port = self._url.port or (443 if self._secure else 80)
        name = self._url.hostname or ""
        plain = socket.create_connection((name, port), min(patience, _CONNECT_TIMEOUT))
        try:
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._socket = (
                tls_context(self._facts).wrap_socket(plain, server_hostname=name)
                if self._secure
                else plain
            )
        except BaseException:
            plain.close()
            raise
        return self._socket

    def _head(self, method: str, name: str, fields: Sequence[str] = ()) -> bytes:
        login = b64encode(f"{self._facts.user}:{self._facts.password}".encode()).decode()
        lines = [
            f"{method} {self._url.path}{name} HTTP/1.1",
            f"Host: {self._url.netloc.rpartition('@')[2]}",
            f"User-Agent: nightdrop/{__version__}",
            f"Authorization: Basic {login}",
            *fields,
        ]
        return "\r\n".join([*lines, "", ""]).encode()

    def _send_file(self, sock: socket.socket, path: Path, on_bytes: OnBytes) -> None:
        buffer = memoryview(bytearray(_PIECE))
        with path.open("rb", buffering=0) as source:
            while octets := source.readinto(buffer[: self._pace.piece(_PIECE)]):
                self._pace.wait(octets)
                _send(sock, buffer[:octets])
                on_bytes(octets)

    def _answer(self, sock: socket.socket, patience: float) -> tuple[int, str]:
        """Read an answer, all of it before the deadline, and no more of it than is shown."""
        stream = io.BufferedReader(_UntilDeadline(sock, time.monotonic() + patience))
        response = http.client.HTTPResponse(_Readable(stream))  # type: ignore[arg-type]
        response.begin()
        said = b""
        if response.status not in _GREETED + _TAKEN:
            with suppress(OSError, http.client.HTTPException):
                said = response.read(_ANSWER_READ)
        elif response.length == 0:
            response.read()
        if response.will_close or not response.isclosed():
            self.close()
        return response.status, said.decode("utf-8", "replace")

    def _judge(self, answer: tuple[int, str], good: Sequence[int], name: str) -> None:
        status, text = answer
        if status in good:
            return
        said = harmless(text.strip().split("\n")[0], 120)
        if status in _WORTH_ANOTHER_TRY:
            raise UnreachableError(f"it answered {status} {said}".rstrip())
        if status == 401:
            raise RefusedError(f"it does not accept the password of {harmless(self._facts.user)}")
        if status == 409:
            raise RefusedError(f"it already has other bytes under the name {name}")
        if status == 507:
            raise RefusedError(f"it has no room left ({said})" if said else "it has no room left")
        raise RefusedError(f"it answered {status} {said}".rstrip())


class _UntilDeadline(io.RawIOBase):
    """What comes through a socket until the deadline, by the monotonic clock; then TimeoutError."""

    def __init__(self, sock: socket.socket, deadline: float) -> None:
        self._socket = sock
        self._deadline = deadline

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "bytearray | memoryview") -> int:  # type: ignore[override]
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        self._socket.settimeout(left)
        return self._socket.recv_into(buffer)


class _Readable:
    """What `HTTPResponse` takes for a socket: all it wants is a file to read from."""

    def __init__(self, stream: io.BufferedReader) -> None:
        self._stream = stream

    def makefile(self, _mode: str) -> io.BufferedReader:
        return self._stream


def _send(sock: socket.socket, octets: bytes | memoryview) -> None:
    """Send all of it. Each call has the socket's timeout to itself, so a slow line is no dead one."""
    view = memoryview(octets)
    while view:
        view = view[sock.send(view) :]


def _causes(error: BaseException) -> Iterator[BaseException]:
    """An error and what it came from."""
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = cause.__cause__ or cause.__context__


def _reason(error: BaseException) -> str:
    """What went wrong, in a few words."""
    if isinstance(error, TimeoutError):
        return "it did not answer in time"
    if isinstance(error, http.client.HTTPException):
        return (
            "it does not speak HTTP"
            if not isinstance(error, http.client.RemoteDisconnected)
            else ("it hung up without an answer")
        )
    texts = [cause.strerror for cause in _causes(error) if isinstance(cause, OSError) and cause.strerror]
    return harmless((texts or [type(error).__name__])[0], 160)
