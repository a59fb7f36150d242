"""The sockets that a mirror listens on: its own or, under systemd, those it was started with.

With sockets from systemd the service needs no network of its own, and its sandbox gives it none
(sd_listen_fds(3) describes the protocol).
"""

import errno
import os
import socket

from nightdrop.errors import ConfigurationError, NightdropError
from nightdrop.mirror import Listen

_HINTS = {
    errno.EADDRINUSE: "another mirror, or another program, is on this port: `ss -ltnp` says which",
    errno.EADDRNOTAVAIL: "`ip address` lists the addresses that this machine has",
    errno.EACCES: "ports below 1024 are root's: choose a higher one, such as 8443",
}

_FIRST_PASSED = 3


def listening_socket(name: str, listen: Listen) -> socket.socket:
    """The socket that systemd passed under this name, or else one of our own that listens there.

    NightdropError if there can be none; ConfigurationError where systemd's is elsewhere.
    """
    descriptor = _passed().get(name)
    if descriptor is None:
        if _passed():
            raise ConfigurationError(
                f"systemd passed no socket called {name}, which {listen.address}:{listen.port} needs",
                f"its unit needs `FileDescriptorName={name}`; docs/OPERATIONS.md has an example",
            )
        return _bound_socket(listen)
    passed = socket.socket(fileno=descriptor)
    passed.set_inheritable(False)
    if passed.getsockname()[:2] != (listen.address, listen.port):
        address, port = passed.getsockname()[:2]
        raise ConfigurationError(
            f"systemd listens on {address}:{port}, and mirror.toml says {listen.address}:{listen.port}",
            f"make `ListenStream=` of the {name}'s socket unit and mirror.toml say the same",
        )
    return passed


def _passed() -> dict[str, int]:
    """The descriptors that systemd passed to this process, by name."""
    if os.environ.get("LISTEN_PID") != str(os.getpid()):
        return {}
    names = os.environ.get("LISTEN_FDNAMES", "").split(":")
    return {name: _FIRST_PASSED + number for number, name in enumerate(names)}


def _bound_socket(listen: Listen) -> socket.socket:
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
