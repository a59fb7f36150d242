"""The SHA-256 of a whole file in a header field: `Repr-Digest: sha-256=:base64:` (RFC 9530)."""

import base64
import re
from http import HTTPStatus

from nightdrop_server.answers import Fields, Refused

_SHA256 = re.compile(r"(?:^|,)[ \t]*sha-256=([^,;]*)", re.ASCII)
_VALUE = re.compile(r":([A-Za-z0-9+/]{43}=):[ \t]*", re.ASCII)


def declared_digest(field: str | None) -> str | None:
    """The SHA-256 that a Repr-Digest field declares, in hex; None if it declares none.

    Other algorithms are ignored, as the RFC has it. Refused (400) where this one is there and is not one.
    """
    if field is None or not (values := _SHA256.findall(field)):
        return None
    found = _VALUE.fullmatch(values[-1])
    if found is None:
        raise Refused(HTTPStatus.BAD_REQUEST, "expected Repr-Digest: sha-256=:BASE64:, 32 bytes encoded")
    return base64.b64decode(found[1]).hex()


def digest_field(sha256: str) -> Fields:
    """The header field that states a SHA-256, given in hex."""
    return (("Repr-Digest", f"sha-256=:{base64.b64encode(bytes.fromhex(sha256)).decode()}:"),)
