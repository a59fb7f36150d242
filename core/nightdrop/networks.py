"""Networks that somebody may come from, in CIDR notation, IPv4 and IPv6; and addresses of mirrors."""

import re
from collections.abc import Iterable
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from urllib.parse import urlsplit

from nightdrop.configuration import Section

Network = IPv4Network | IPv6Network


def parse_network(text: str) -> Network:
    """A network such as `192.0.2.0/24`, or a single address; ValueError if it is none, also where the
    address has bits beyond the prefix: a typing error there would let in others than were meant.
    """
    try:
        return ip_network(text)
    except ValueError as error:
        try:
            meant = f"; {ip_network(text, strict=False)} is one"
        except ValueError:
            meant = ", such as 192.0.2.0/24 or 2001:db8::/48"
        raise ValueError(f"{text!r} is not a network{meant}") from error


def load_networks(section: Section, key: str) -> list[Network]:
    """The list of networks at `key` of a configuration file; none when it is not there."""
    texts = section.texts(key, [])
    try:
        return [parse_network(text) for text in texts]
    except ValueError as error:
        raise section.wrong(key, 'a list of networks, such as ["192.0.2.0/24"]', texts) from error


def is_inside(address: str, networks: Iterable[Network]) -> bool:
    """Whether an address is in one of the networks; something that is no address is in none."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return False
    return any(parsed in network for network in networks)


def web_address(section: Section, *, tls: bool = False) -> str:
    """The `url` of a mirror, without a slash at its end; with `tls`, none but https is right."""
    expected = (
        'the address that clients use, such as "https://backup.example.org:8443"'
        if tls
        else 'the address that clients use, such as "http://backup.example.org:8080"'
    )
    text = section.text("url", expected=expected)
    try:
        parts = urlsplit(text)
        _ = parts.port
    except ValueError as error:
        raise section.wrong("url", expected, text) from error
    plain = re.fullmatch(r"(?:/[A-Za-z0-9._~-]+)*/?", parts.path, re.ASCII)
    decorated = parts.query or parts.fragment or parts.username is not None
    # Without TLS of our own a proxy may stand in front and speak it, so https is right there, too.
    schemes = ("https",) if tls else ("http", "https")
    if (
        parts.scheme not in schemes
        or not is_host_or_address(parts.hostname or "")
        or not plain
        or decorated
    ):
        raise section.wrong("url", expected, text)
    return text.rstrip("/")


def is_host_or_address(name: str) -> bool:
    """Whether this may be an address, or a name that it is looked up by (RFC 5891)."""
    try:
        return bool(name.encode("idna"))
    except UnicodeError:
        return False
