"""`nightdrop serve`: run a mirror's door until it is told to stop."""

import argparse
import os
import signal
import socket
import threading
from contextlib import ExitStack, closing
from typing import TYPE_CHECKING

from nightdrop.arguments import add_config
from nightdrop.errors import ExitStatus, NightdropError
from nightdrop.mirror import DEFAULT_PATH, load_mirror

if TYPE_CHECKING:
    from nightdrop_server.listener import Listener

DESCRIPTION = """\
Run a mirror's door: take files in from enrolled hosts, and give nothing out.

It says on standard output when it is ready, logs a line a request to standard error, and stops
on SIGTERM or SIGINT. What was not whole by then is not kept; hosts send it again.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    add_config(parser, "the mirror's", DEFAULT_PATH)


def run(arguments: argparse.Namespace) -> ExitStatus:
    """Serve until a signal says to stop."""
    from nightdrop_server import log
    from nightdrop_server.administration import THREADS, Administration
    from nightdrop_server.door import Door
    from nightdrop_server.listener import Listener
    from nightdrop_server.metrics import Counters
    from nightdrop_server.sockets import listening_sockets
    from nightdrop_server.state import prepare
    from nightdrop_server.tls import ANEW, expired, load_certificate, server_context

    # Before any thread exists, so that all of them leave these to `_wait`.
    stopping = {signal.SIGTERM, signal.SIGINT}
    signal.pthread_sigmask(signal.SIG_BLOCK, stopping)
    mirror = load_mirror(arguments.config)
    prepare(mirror)
    counters = Counters()
    wanted = {"door": mirror.listen}
    if mirror.administration is not None:
        wanted["administration"] = mirror.administration
    with ExitStack() as stack:
        sockets = listening_sockets(wanted)
        for bound in sockets.values():
            stack.enter_context(bound)
        door = stack.enter_context(closing(Door(mirror)))
        if (mirror.tls or mirror.administration_tls) and expired(load_certificate(mirror)):
            log.trouble(f"{mirror.certificate} has expired, and hosts refuse it: {ANEW}")
        tls = server_context(mirror) if mirror.tls else None
        listeners = [Listener(sockets["door"], door, tls, counters.account("door"))]
        told = [f"mirror {mirror.name} serves {mirror.url} (listening on {_where(sockets['door'])})"]
        if mirror.administration is not None:
            bound = sockets["administration"]
            administration = stack.enter_context(closing(Administration(mirror, counters)))
            tls = server_context(mirror) if mirror.administration_tls else None
            account = counters.account("administration")
            listeners.append(Listener(bound, administration, tls, account, THREADS))
            told.append(f"the administrator's listener is {'https' if tls else 'http'}://{_where(bound)}")
        for listener in listeners:
            listener.prepare()
        print("".join(f"nightdrop: {line}\n" for line in told), end="", flush=True)
        try:
            _wait(listeners, stopping)
        finally:
            # Also where one has ended by itself: this process lasts as long as any of their threads.
            for listener in listeners:
                listener.stop()
    return ExitStatus.DONE


def _where(bound: socket.socket) -> str:
    address, port = bound.getsockname()[:2]
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def _wait(listeners: "list[Listener]", stopping: set[signal.Signals]) -> None:
    """Serve until one of the signals comes; NightdropError if a listener ends by itself."""
    ended = threading.Event()

    def serve(listener: "Listener") -> None:
        try:
            listener.serve()
        finally:
            ended.set()
            # To the process, not to this thread, which leaves signals alone.
            os.kill(os.getpid(), signal.SIGTERM)

    for listener in listeners:
        threading.Thread(target=serve, args=(listener,), name="accept", daemon=True).start()
    signal.sigwait(stopping)
    # They have not been told to.
    if ended.is_set():
        raise NightdropError("a listener ended by itself; the log says why")
