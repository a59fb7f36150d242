"""The listener: cheroot accepts connections, keeps the idle ones and hands the busy ones to its threads.

This is the one module that relies on cheroot's insides. It was written for the version below, and a test
fails when another is installed: read what changed in cheroot's `server.py`, `connections.py` and
`workers/threadpool.py` before raising it. What differs from stock cheroot, each for a measured reason:
a connection waits in the selector until it says something, a worker takes what has come of a TLS
handshake or a head and puts it back until all of it is there, so that silent and dribbling clients hold
no thread and never the accept loop; what is said on a connection is ours
(`conversation.py`), so nothing of a refused body is read into memory and no head is taken that
another server would read differently; heads that take too long and bodies that crawl are ended.
"""

import resource
import socket
import ssl
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from typing import Any, Final

from cheroot.errors import FatalSSLAlert
from cheroot.server import HTTPConnection, HTTPServer

from nightdrop_server import log
from nightdrop_server.answers import Answer
from nightdrop_server.conversation import (
    HANDSHAKE_DEADLINE,
    HEAD_DEADLINE,
    MOST_LINGERING,
    Conversation,
    linger,
)
from nightdrop_server.queueing import MOST_WAITING, network_of
from nightdrop_server.request import Request
from nightdrop_server.turns import PLACES
from nightdrop_server.wire import Gone, Wire

WRITTEN_FOR: Final = "11.1.2"
"""The version of cheroot that this module was written and tested for."""

THREADS: Final = PLACES + MOST_WAITING + MOST_LINGERING + 32
"""One for each request that may hold one for as long as its client likes, and some for all others, which
are done with at once.
"""

SILENT: Final = 20
"""Seconds after which a connection that has not proved who it is may be closed when it says nothing."""

PATIENT: Final = 280
"""Seconds more for one that has: a client may pack its next volume for that long."""

OWN: Final = 8
"""How many idle connections a host may keep however crowded it is; our client has two or three."""

Respond = Callable[[Request], Answer]
Account = Callable[[log.Access], None]


class Connection(HTTPConnection):
    """One client's connection, from the first byte to the last."""

    server: "Listener"
    rfile: Wire

    def __init__(self, server: "Listener", sock: socket.socket, _makefile: object) -> None:
        super().__init__(server, sock, _make_wire)
        self.parked = False
        self.ended = False
        self.conversation: Conversation | None = None
        self._last_used = time.time()
        self._shaken = not isinstance(sock, ssl.SSLSocket)
        self._shaking = False

    def communicate(self) -> bool:
        """Take what has come, and answer the request it makes whole; whether to keep the connection."""
        if self.conversation is None:
            self.conversation = Conversation(self.rfile, self.address, self.server.account, self.end)
        self.conversation.begin(HEAD_DEADLINE if self._shaken else HANDSHAKE_DEADLINE)
        if self.conversation.is_late():
            # cheroot looks for idle connections just after it handed over those that have said something,
            # so it never finds one that dribbles faster than it looks. Closing says why.
            return False
        self.server.busy.add(self)
        try:
            if not self._shaken:
                if not self._handshake():
                    return self._shaking
                self.conversation.shaken()
            return self.conversation.go_on(
                self.server.respond, lambda: bool(self.server.can_add_keepalive_connection)
            )
        except Gone:
            # Nobody is left to answer.
            return False
        finally:
            self.server.busy.discard(self)

    @property
    def address(self) -> str:
        """Where the client is, as far as the socket knows; cheroot sets it later than all else."""
        return str(self.remote_addr or "-").removeprefix("::ffff:")

    @property
    def trusted(self) -> bool:
        """Whether a host has proved who it is here."""
        return self.conversation is not None and self.conversation.host != "-"

    @property
    def owner(self) -> str:
        """Who has this connection: a host or, as long as none has proved to be one, a network."""
        if self.conversation is not None and self.trusted:
            return self.conversation.host
        return network_of(self.address)

    @property
    def last_used(self) -> float:
        """What cheroot adds `Listener.timeout` to, to know when an idle connection is to be closed."""
        due = None if self.conversation is None else self.conversation.due()
        if due is not None:
            return _by_the_clock(due) - SILENT
        return self._last_used + (PATIENT if self.trusted else 0)

    @last_used.setter
    def last_used(self, now: float) -> None:
        self._last_used = now

    @property
    def silent_since(self) -> float:
        """Since when (time.time) it has said nothing that is whole."""
        begun = None if self.conversation is None else self.conversation.begun()
        return self._last_used if begun is None else _by_the_clock(begun)

    def close(self) -> None:
        """Close it; if that is because a head took too long, say so. Never fails: what a worker does not
        catch here ends cheroot's server.
        """
        try:
            if self.conversation is not None and not self.ended:
                self.conversation.give_up()
            super().close()
        except Exception as error:  # noqa: BLE001  the log has it, and one connection is lost
            log.fault(error)

    def end(self) -> None:
        """Make whatever reads or writes here fail now; called from another thread."""
        self.ended = True
        try:
            socket.socket.shutdown(self.socket, socket.SHUT_RDWR)
        except OSError:
            return

    def _handshake(self) -> bool:
        """Go on with the TLS handshake; whether it is done. `_shaking` says whether it may yet be."""
        self._shaking = False
        try:
            self.socket.do_handshake()
        except ssl.SSLWantReadError:
            self._shaking = True
            return False
        except ssl.SSLError as error:
            if error.reason == "HTTP_REQUEST":
                self._say_tls()
            return False
        except (OSError, ValueError):
            return False
        self._shaken = True
        return True

    def _say_tls(self) -> None:
        """Tell a client that speaks plain HTTP what it should speak."""
        sentence = b"this door speaks TLS only: use https:// in the URL\n"
        head = b"HTTP/1.1 400 Bad Request\r\nContent-Length: %d\r\nConnection: close\r\n\r\n"
        try:
            socket.socket.sendall(self.socket, head % len(sentence) + sentence)
        except OSError:
            return
        linger(self.rfile)


class Listener(HTTPServer):
    """cheroot's server, answering with `respond`, on a socket that is bound already."""

    _connections: Any  # cheroot's ConnectionManager, of which its types say too little
    ConnectionClass = Connection
    request_queue_size = 256
    keep_alive_conn_limit = 1024
    timeout = SILENT
    shutdown_timeout = 3

    def __init__(
        self,
        bound: socket.socket,
        respond: Respond,
        tls: ssl.SSLContext | None,
        account: Account = log.access,
        threads: int = THREADS,
    ) -> None:
        address = bound.getsockname()[:2]
        super().__init__(address, gateway=None, minthreads=threads, server_name="nightdrop")
        self.respond = respond
        self.account = account
        self.busy: set[Connection] = set()
        self.ssl_adapter = None if tls is None else _Tls(tls)
        self._bound = bound
        _allow_many_descriptors()

    def bind(self, *_family_type_protocol: int) -> socket.socket:
        """Take the socket that is bound already in place of one of cheroot's own."""
        self.socket = self._bound
        return self._bound

    def prepare(self) -> None:
        """Make everything ready to serve."""
        super().prepare()
        threading.Thread(target=self._watch, name="deadlines", daemon=True).start()

    def process_conn(self, conn: Connection) -> None:
        """Hand a connection that has something to say to a worker; a new one waits for that first."""
        if conn.parked:
            super().process_conn(conn)
        else:
            if not self.can_add_keepalive_connection:
                self._drop_a_silent_one()
            conn.parked = True
            self.put_conn(conn)

    def put_conn(self, conn: Connection) -> None:
        """Wait until a connection says more. One for which that cannot be done, as when the kernel has no
        memory left, is closed: what a worker does not catch here ends cheroot's server.
        """
        try:
            super().put_conn(conn)
        except Exception as error:  # noqa: BLE001  the log has it, and one connection is lost
            if self.ready:
                log.fault(error)
            conn.close()

    def _drop_a_silent_one(self) -> None:
        """End the connection that has been silent longest, of whoever has most. A host's first few are
        its own as long as there are any others.
        """
        parked: defaultdict[tuple[bool, str], list[Connection]] = defaultdict(list)
        for _, conn in self._connections._selector.connections:
            if conn is not self and not conn.ended:
                parked[conn.trusted, conn.owner].append(conn)
        owners = [owner for owner, conns in parked.items() if len(conns) > (OWN if owner[0] else 0)]
        if owners:
            most = max(owners, key=lambda owner: len(parked[owner]))
            # A worker closes it: the selector's loop may have it on its list of the moment.
            min(parked[most], key=lambda conn: conn.silent_since).end()

    def stop(self) -> None:
        """Stop accepting, end what is under way (nothing of it is kept), and wait for the workers."""
        for connection in tuple(self.busy):
            connection.end()
        super().stop()

    def error_log(self, msg: str = "", level: int = 20, traceback: bool = False) -> None:
        """Put what cheroot has to say into our log, if it matters."""
        if traceback or level >= 30:
            log.trouble(f"cheroot: {msg}")

    def _watch(self) -> None:
        """End requests that crawl."""
        while self.ready:
            time.sleep(1)
            for connection in tuple(self.busy):
                if connection.conversation is not None and connection.conversation.crawls():
                    connection.end()


class _TlsSocket(ssl.SSLSocket):
    def shutdown(self, how: int) -> None:
        # Python's own forgets the TLS layer, and a thread that reads meanwhile would take what is
        # still encrypted for the body.
        socket.socket.shutdown(self, how)


class _Tls:
    """What cheroot asks of an SSL adapter."""

    def __init__(self, context: ssl.SSLContext) -> None:
        context.sslsocket_class = _TlsSocket
        self._context = context

    def wrap(self, sock: socket.socket) -> tuple[socket.socket, dict[str, str]]:
        try:
            wrapped = self._context.wrap_socket(sock, server_side=True, do_handshake_on_connect=False)
        except (OSError, ValueError) as error:
            # The client has gone again already.
            raise FatalSSLAlert(*error.args) from error
        return wrapped, {}

    makefile = None


def _by_the_clock(moment: float) -> float:
    """A moment of time.monotonic, as time.time."""
    return time.time() - time.monotonic() + moment


def _make_wire(sock: socket.socket, mode: str, _buffer_size: int) -> Wire | None:
    """What cheroot asks of a file over a socket; answers go through the same wire."""
    return Wire(sock) if "r" in mode else None


def _allow_many_descriptors() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = hard if hard != resource.RLIM_INFINITY else 65536
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
