"""The sockets that a mirror listens on: its own or, under systemd, those it was started with.

With sockets from systemd the service needs no network of its own, and its sandbox gives it none
(sd_listen_fds(3) describes the protocol).
"""

import errno
import os
import socket
from collections.abc import Mapping

from nightdrop.errors import ConfigurationError, NightdropError
from nightdrop.mirror import Listen

_HINTS = {
    errno.EADDRINUSE: "another mirror, or another program, is on this port: `ss -ltnp` says which",
    errno.EADDRNOTAVAIL: "`ip address` lists the addresses that this machine has",
    errno.EACCES: "ports below 1024 are root's: choose a higher one, such as 8443",
}

_FIRST_PASSED = 3


def listening_sockets(wanted: Mapping[str, Listen]) -> dict[str, socket.socket]:
    """A listening socket for each of those wanted: those that systemd passed under their names, or else
    our own. NightdropError if there can be none; ConfigurationError where systemd's are others.
    """
    passed = _passed()
    if not passed:
        return {name: _bound_socket(listen) for name, listen in wanted.items()}
    if passed.keys() != wanted.keys():
        raise ConfigurationError(
            f"systemd passed the sockets {', '.join(sorted(passed))}, "
            f"and mirror.toml needs {', '.join(sorted(wanted))}",
            "each is a socket unit with that FileDescriptorName=; enable those that mirror.toml needs",
        )
    return {name: _passed_socket(name, passed[name], listen) for name, listen in wanted.items()}


def _passed_socket(name: str, descriptor: int, listen: Listen) -> socket.socket:
    passed = socket.socket(fileno=descriptor)
    passed.set_inheritable(False)
    address, port = passed.getsockname()[:2]
    if (address, port) != (listen.address, listen.port):
        raise ConfigurationError(
            f"systemd listens on {address}:{port} for the {name}, "
            f"and mirror.toml says {listen.address}:{listen.port}",
            "make `ListenStream=` of that socket unit and `listen` say the same",
        )
    return passed


def _passed() -> dict[str, int]:
    """The descriptors that systemd passed to this process, by name."""
    # Taken out, or cheroot would find them and have every listener listen on the first.
    passed_to, names = os.environ.pop("LISTEN_PID", ""), os.environ.pop("LISTEN_FDNAMES", "").split(":")
    if passed_to != str(os.getpid()):
        return {}
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
