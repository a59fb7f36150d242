"""Ports that nobody takes between being found and being listened on.

A port that was only looked up is free no more as soon as another test, or an outgoing connection of any
program, gets it. So a socket that never listens stays bound to each: the kernel then gives that port to
nobody who asks for any, while a server that names it and sets SO_REUSEADDR, as servers do, may have it,
as often as it is restarted. Until it listens, whoever connects is refused.
"""

import socket
from collections import deque

_held: deque[socket.socket] = deque(maxlen=300)
"""The newest ones: what a test takes it needs soon, and descriptors are not without end."""


def free_port(address: str = "127.0.0.1") -> int:
    """A port that nobody listens on, and that nobody gets who does not name it."""
    holder = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET)
    holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    holder.bind((address, 0))
    _held.append(holder)
    return int(holder.getsockname()[1])
