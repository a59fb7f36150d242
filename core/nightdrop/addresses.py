"""Addresses of mirrors, as configurations and bundles give them."""

import re
from urllib.parse import urlsplit

from nightdrop.configuration import Section


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
