"""Between a key's file and the paper it is printed on."""

import re
from binascii import a2b_base64
from collections.abc import Callable
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import load_der_x509_certificate

from nightdrop.envelope import der
from nightdrop.envelope.recipients import parse_recipients
from nightdrop.errors import ConfigurationError, NightdropError, UsageError
from nightdrop.files import read_short
from nightdrop_restore.keys.reading import certificates_in, load_key
from nightdrop_restore.paper.content import Paper

_KEY: Final = re.compile(
    rb"-----BEGIN ENCRYPTED PRIVATE KEY-----(.*?)-----END ENCRYPTED PRIVATE KEY-----", re.DOTALL
)


def load_paper(path: Path, passphrase: Callable[[], bytes]) -> Paper:
    """The key in a file, for paper: encrypted as it is, with its certificate.

    Raises what `load_key` raises, and UsageError for a key that is not encrypted or has no certificate.
    """
    key = load_key(path, passphrase)
    octets = read_short(path)
    found = _KEY.search(octets)
    if found is None:
        raise UsageError(
            f"{path}: this key is not encrypted, or not as PKCS#8 in PEM",
            "openssl pkcs8 -topk8 -scrypt -in KEY -out key.pem encrypts it; append its certificate",
        )
    certificates = b"".join(certificates_in(octets))
    if not key.ids or not certificates:
        raise UsageError(
            f"{path}: the key's certificate is not in this file", "append it: what is printed needs both"
        )
    own = [one for one in parse_recipients(certificates, str(path)) if set(one.ids) & key.ids]
    return Paper(a2b_base64(found[1]), own[0].certificate)


def key_files(key: bytes, certificate: bytes) -> tuple[bytes, bytes]:
    """What goes into key.pem and certificate.pem; ConfigurationError if the certificate is none."""
    try:
        pem = load_der_x509_certificate(certificate).public_bytes(Encoding.PEM) if certificate else b""
    except ValueError as error:
        raise ConfigurationError("the lines of the certificate are no certificate") from error
    if not key.startswith(b"\x30"):
        raise NightdropError("the lines of the key are no key")
    return der.pem("ENCRYPTED PRIVATE KEY", key).encode() + pem, pem
