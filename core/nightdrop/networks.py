"""Networks that somebody may come from: addresses in CIDR notation, IPv4 and IPv6."""

from collections.abc import Iterable
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

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
