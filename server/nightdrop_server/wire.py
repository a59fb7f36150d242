"""The bytes of one connection: lines for heads and chunk sizes, and bodies straight into a buffer.

cheroot's own reader copies a body several times over; here it goes from the socket into the buffer
that is hashed and written. Only what was received together with a head is ever held back.

A head is gathered without waiting (`gather`, `whole_line`), so that a slow one holds no thread;
everything else waits for the client, within the limits of `IDLE` and of whoever counts what `moved`.
"""

import socket
import ssl
import struct
import time
from typing import Final

IDLE: Final = 20
"""Longest wait for the next byte of a request, or for room to send an answer, in seconds."""

WORTH: Final = 1024
"""Octets that one receive should bring: a record of TLS with one in it is as much work."""

_LINE_READ: Final = 8192
_SEND: Final = 16 * 1024


class TooLong(Exception):  # noqa: N818
    """A line does not end where it has to."""


class Gone(Exception):  # noqa: N818  not a fault of ours either
    """The client closed the connection, lost it, or has been silent for too long (`silent`)."""

    def __init__(self, silent: bool) -> None:
        super().__init__("silent" if silent else "gone")
        self.silent = silent


class Wire:
    """A connected socket, plain or TLS, with the little that was read ahead of it.

    `received` counts the octets that came in so far, `moved` those and the ones that went out, `lacking`
    those that pieces of a body were short of `WORTH`; `waiting` is true while it waits for the client to
    send or to take more.
    """

    def __init__(self, sock: socket.socket) -> None:
        self.closed = False
        self.received = 0
        self.moved = 0
        self.lacking = 0
        self.waiting = False
        self._socket = sock
        self._tls = isinstance(sock, ssl.SSLSocket)
        self._ahead = b""
        self._at = 0
        self._searched = False
        if sock.family != socket.AF_UNIX:
            # What we send is whole: nothing is gained by waiting for more of it.
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self._tls:
            self._fill_flags = 0
            sock.settimeout(0)
        else:
            # With a Python timeout the socket does not block and MSG_WAITALL means nothing; with the
            # kernel's own timeout one call fills a whole buffer.
            self._fill_flags = socket.MSG_WAITALL
            sock.settimeout(None)
            for option in (socket.SO_RCVTIMEO, socket.SO_SNDTIMEO):
                sock.setsockopt(socket.SOL_SOCKET, option, struct.pack("ll", IDLE, 0))

    def has_data(self) -> bool:
        """Whether there is more to look at although the socket itself may have nothing to read."""
        if self._searched:
            return False
        return self._at < len(self._ahead) or (
            isinstance(self._socket, ssl.SSLSocket) and self._socket.pending() > 0
        )

    def may_wait(self, yes: bool) -> None:
        """Whether what follows may wait for the client; at first it may not."""
        self._searched = False
        if self._tls:
            self._socket.settimeout(IDLE if yes else 0)

    def gather(self) -> bool:
        """Receive what has arrived, without waiting; whether anything had. Gone at the end."""
        try:
            received = self._socket.recv(_LINE_READ, 0 if self._tls else socket.MSG_DONTWAIT)
        except (BlockingIOError, ssl.SSLWantReadError):
            self._searched = True
            return False
        except OSError as error:
            raise _gone(error) from error
        self._counted(len(received))
        self._ahead, self._at = self._ahead[self._at :] + received, 0
        return True

    def whole_line(self, limit: int) -> bytes | None:
        """The next line with its line feed, None if it is not all there yet; TooLong where none ends
        within `limit` octets.
        """
        end = self._ahead.find(b"\n", self._at) + 1
        if (end or len(self._ahead)) - self._at > limit:
            raise TooLong
        if not end:
            return None
        line = self._ahead[self._at : end]
        self._at = end
        return line

    def close(self) -> None:
        """Forget what was read ahead; the socket is closed by who opened it."""
        self.closed = True
        self._ahead = b""

    def line(self, limit: int) -> bytes:
        """The next line with its line feed; Gone, or TooLong where none ends within `limit` octets."""
        line = b""
        while not line.endswith(b"\n"):
            if self._at >= len(self._ahead):
                self._ahead, self._at = self._receive(_LINE_READ), 0
            end = self._ahead.find(b"\n", self._at) + 1 or len(self._ahead)
            line += self._ahead[self._at : end]
            self._at = end
            if len(line) > limit:
                raise TooLong
        return line

    def into(self, view: memoryview) -> int:
        """Receive into `view` (not empty), and say how many octets: at least one; Gone at the end."""
        if self._at < len(self._ahead):
            octets = min(len(view), len(self._ahead) - self._at)
            view[:octets] = self._ahead[self._at : self._at + octets]
            self._at += octets
            return octets
        self.waiting = True
        try:
            octets = self._socket.recv_into(view, len(view), self._fill_flags)
        except OSError as error:
            raise _gone(error) from error
        finally:
            self.waiting = False
        self._weighed(octets, len(view))
        return self._counted(octets)

    def send(self, octets: bytes | memoryview) -> None:
        """Send all of it; Gone if the client does not take it."""
        view = memoryview(octets)
        self.waiting = True
        try:
            # In pieces, so that it shows how slowly they are taken.
            for at in range(0, len(view), _SEND):
                self._socket.sendall(view[at : at + _SEND])
                self.moved += len(view[at : at + _SEND])
        except OSError as error:
            raise _gone(error) from error
        finally:
            self.waiting = False

    def try_to_send(self, octets: bytes) -> bool:
        """Send as much of it as can be sent without waiting; whether that was all."""
        try:
            if self._tls:
                self._socket.settimeout(0)
            sent = self._socket.send(octets, 0 if self._tls else socket.MSG_DONTWAIT)
        except OSError:
            return False
        self.moved += sent
        return sent == len(octets)

    def linger(self, seconds: float, silence: float, octets: int) -> None:
        """Let the client read our answer although we did not read all it sends: stop sending, and throw
        away what still comes, for so long and so much at most, and with pauses no longer than `silence`
        seconds. Closing at once would reset the connection, and the answer could be lost on its way.
        """
        end = time.monotonic() + seconds
        # On TLS, too, the bytes are only thrown away: nobody decrypts them.
        try:
            socket.socket.shutdown(self._socket, socket.SHUT_WR)
            socket.socket.settimeout(self._socket, silence)
            while octets > 0 and time.monotonic() < end:
                thrown = len(socket.socket.recv(self._socket, 65536))
                if not thrown:
                    return
                octets -= thrown
        except OSError:
            return

    def _receive(self, octets: int) -> bytes:
        self.waiting = True
        try:
            received = self._socket.recv(octets)
        except OSError as error:
            raise _gone(error) from error
        finally:
            self.waiting = False
        self._counted(len(received))
        self._weighed(len(received), octets)
        return received

    def _weighed(self, octets: int, wanted: int) -> None:
        self.lacking += max(0, min(wanted, WORTH) - octets)

    def _counted(self, octets: int) -> int:
        if not octets:
            raise Gone(silent=False)
        self.received += octets
        self.moved += octets
        return octets


def _gone(error: OSError) -> Gone:
    # BlockingIOError is how SO_RCVTIMEO looks from Python.
    return Gone(silent=isinstance(error, BlockingIOError | TimeoutError))
