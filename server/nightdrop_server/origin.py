"""Where a request comes from: the connection's other end or, behind a proxy that we know, its client."""

from collections.abc import Mapping, Sequence
from ipaddress import ip_address

from nightdrop.networks import Network, is_inside


def origin(address: str, fields: Mapping[str, str], proxies: Sequence[Network]) -> str:
    """The client's address, given the connection's.

    Anybody can send X-Forwarded-For. Only what a known proxy put there counts: its last entry.
    """
    if not proxies or not is_inside(address, proxies):
        return address
    forwarded = fields.get("x-forwarded-for", "").rpartition(",")[2].strip()
    try:
        client = ip_address(forwarded)
    except ValueError:
        return address
    return str(getattr(client, "ipv4_mapped", None) or client)
