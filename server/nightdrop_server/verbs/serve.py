"""`nightdrop serve`: run a mirror's door until it is told to stop."""

import argparse
import errno
import os
import signal
import socket
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from nightdrop.errors import ConfigurationError, ExitStatus, NightdropError
from nightdrop.mirror import DEFAULT_PATH, Listen, load_mirror

if TYPE_CHECKING:
    from nightdrop_server.listener import Listener

_HINTS = {
    errno.EADDRINUSE: "another mirror, or another program, is on this port: `ss -ltnp` says which",
    errno.EADDRNOTAVAIL: "`ip address` lists the addresses that this machine has",
    errno.EACCES: "ports below 1024 are root's: choose a higher one, such as 8443",
}

DESCRIPTION = """\
Run a mirror's door: take files in from enrolled hosts, and give nothing out.

It says on standard output when it is ready, logs a line a request to standard error, and stops
on SIGTERM or SIGINT. What was not whole by then is not kept; hosts send it again.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument(
        "--config", type=Path, default=DEFAULT_PATH, help="the mirror's configuration (%(default)s)"
    )


def run(arguments: argparse.Namespace) -> ExitStatus:
    """Serve until a signal says to stop."""
    from nightdrop_server.door import Door
    from nightdrop_server.listener import Listener
    from nightdrop_server.state import prepare
    from nightdrop_server.tls import server_context

    # Before any thread exists, so that all of them leave these to `_wait`.
    stopping = {signal.SIGTERM, signal.SIGINT}
    signal.pthread_sigmask(signal.SIG_BLOCK, stopping)
    mirror = load_mirror(arguments.config)
    prepare(mirror)
    context = server_context(mirror) if mirror.tls else None
    door = Door(mirror)
    with bound_socket(mirror.listen) as bound:
        listener = Listener(bound, door, context)
        listener.prepare()
        address, port = bound.getsockname()[:2]
        where = f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
        print(f"nightdrop: mirror {mirror.name} serves {mirror.url} (listening on {where})", flush=True)
        _wait(listener, stopping)
        listener.stop()
    door.close()
    return ExitStatus.DONE


def bound_socket(listen: Listen) -> socket.socket:
    """A socket listening on the address, `[::]` being IPv6 and IPv4; NightdropError if it cannot be."""
    where = f"{listen.address}:{listen.port}"
    try:
        found = socket.getaddrinfo(
            listen.address, listen.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
    except socket.gaierror as error:
        raise ConfigurationError(
            f"key `listen`: {listen.address} is no address of this machine: {error.strerror}"
        ) from error
    family, kind, protocol, _, address = found[0]
    bound = socket.socket(family, kind, protocol)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0 if listen.address == "::" else 1)
        bound.bind(address)
        bound.listen()
    except OSError as error:
        bound.close()
        hint = _HINTS.get(error.errno or 0, "")
        raise NightdropError(f"cannot listen on {where}: {error.strerror}", hint) from error
    return bound


def _wait(listener: "Listener", stopping: set[signal.Signals]) -> None:
    """Serve until one of the signals comes; NightdropError if the listener ends by itself."""
    failed = threading.Event()

    def serve() -> None:
        try:
            listener.serve()
        finally:
            if listener.ready:
                failed.set()
                # To the process, not to this thread, which leaves signals alone.
                os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=serve, name="accept", daemon=True).start()
    signal.sigwait(stopping)
    if failed.is_set():
        raise NightdropError("the listener ended by itself; the log says why")
