"""A way to a mirror on which a test can look at what is sent, and hold it up for as long as it needs.

So a run stands at a moment of the test's choosing, however fast or slow the machine is.
"""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from itertools import count

from mirrors import PATIENCE

Look = Callable[[int, int, bytes], object]
"""Is given each piece that somebody sends: the number of its connection, how many octets went before it
there, and the piece. It is passed on when this returns; `ConnectionAbortedError` ends that connection.
"""


class Gate:
    """Holds every request whose head has these octets in it, until it is opened. Not over TLS."""

    def __init__(self, octets: bytes) -> None:
        self._octets = octets
        self._reached = threading.Event()
        self._opened = threading.Event()

    def look(self, _connection: int, _before: int, piece: bytes) -> None:
        """See `Look`. A head is one piece: it is sent at once, and nothing is on the way before it."""
        if self._octets in piece:
            self._reached.set()
            self._opened.wait()

    def wait_until_reached(self) -> None:
        """Wait until something is held."""
        assert self._reached.wait(PATIENCE), f"nobody asked for {self._octets!r}"

    def open(self) -> None:
        """Let everything through from now on."""
        self._opened.set()


def _pass(_connection: int, _before: int, _piece: bytes) -> None:
    """Nothing to see."""


@contextmanager
def way_to(port: int, look: Look, look_back: Look = _pass) -> Iterator[int]:
    """A port on loopback that leads to another one there. Requests are looked at, and maybe answers."""
    listening = socket.create_server(("127.0.0.1", 0))

    def pass_on(number: int, source: socket.socket, sink: socket.socket, look: Look) -> None:
        passed = 0
        with suppress(OSError):
            try:
                while piece := source.recv(64 * 1024):
                    look(number, passed, piece)
                    passed += len(piece)
                    sink.sendall(piece)
            except ConnectionAbortedError:
                source.shutdown(socket.SHUT_RDWR)
                sink.shutdown(socket.SHUT_RDWR)
            finally:
                # Also where whoever sent was killed: nobody waits for more.
                sink.shutdown(socket.SHUT_WR)

    def serve() -> None:
        for number in count():
            try:
                near, _ = listening.accept()
            except OSError:
                return
            try:
                far = socket.create_connection(("127.0.0.1", port))
            except OSError:
                # Nobody is there any more.
                near.close()
                continue
            for words in ((number, near, far, look), (number, far, near, look_back)):
                threading.Thread(target=pass_on, args=words, daemon=True).start()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield int(listening.getsockname()[1])
    finally:
        listening.shutdown(socket.SHUT_RDWR)
        listening.close()
        thread.join()


@contextmanager
def gate_to(port: int, octets: bytes) -> Iterator[tuple[int, Gate]]:
    """A port that leads to another one, with such a gate on the way."""
    gate = Gate(octets)
    with way_to(port, gate.look) as near:
        try:
            yield near, gate
        finally:
            gate.open()
