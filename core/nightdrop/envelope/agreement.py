"""Key agreement: from the secret that two keys share to the key that wraps another (RFC 5753, RFC 8418).

Whoever seals and whoever opens reckon the same here. The secret itself comes from an ephemeral key of
the sealer's and the recipient's own, by elliptic curve Diffie-Hellman.
"""

from dataclasses import dataclass
from typing import Final, Literal

from nightdrop.envelope import der
from nightdrop.envelope.der import oid
from nightdrop.errors import EnvelopeError


@dataclass(frozen=True)
class Scheme:
    """How the secret becomes a key: a key derivation function and the hash it uses."""

    kdf: Literal["x963", "hkdf"]
    digest: str


# With the curves here, whose cofactor is 1, cofactor and standard Diffie-Hellman are the same.
SCHEMES: Final = {
    oid("1.3.133.16.840.63.0.2"): Scheme("x963", "sha1"),
    oid("1.3.133.16.840.63.0.3"): Scheme("x963", "sha1"),
    **{
        oid(f"1.3.132.1.{kind}.{number}"): Scheme("x963", digest)
        for kind in (11, 14)
        for number, digest in enumerate(("sha224", "sha256", "sha384", "sha512"))
    },
    oid("1.2.840.113549.1.9.16.3.19"): Scheme("hkdf", "sha256"),
    oid("1.2.840.113549.1.9.16.3.20"): Scheme("hkdf", "sha384"),
    oid("1.2.840.113549.1.9.16.3.21"): Scheme("hkdf", "sha512"),
}
"""The key agreement schemes that are known (RFC 5753, 7.1.4; RFC 8418, 3)."""

AES256_WRAP: Final = oid("2.16.840.1.101.3.4.1.45")
WRAPS: Final = {
    oid("2.16.840.1.101.3.4.1.5"): 16,
    oid("2.16.840.1.101.3.4.1.25"): 24,
    AES256_WRAP: 32,
}
"""AES key wrap (RFC 3565, 2.3.2): the sizes of their keys in octets."""


def wrapping_key(secret: bytes, scheme: bytes, wrap: bytes, ukm: bytes = b"") -> bytes:
    """The key encryption key that follows from a shared secret.

    `scheme` is an identifier out of SCHEMES, `wrap` the whole AlgorithmIdentifier of the key wrap, as it
    stands in the envelope; `ukm` the sender's user keying material, empty if there is none. Raises
    EnvelopeError for an unknown scheme or wrap.
    """
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF
    from cryptography.hazmat.primitives.kdf.x963kdf import X963KDF

    how = SCHEMES.get(scheme)
    size = WRAPS.get(der.first(wrap))
    if how is None or size is None:
        raise EnvelopeError("its key is agreed on in a way that is not known")
    digest = getattr(hashes, how.digest.upper())()
    info = _shared_info(wrap, ukm, size)
    if how.kdf == "hkdf":
        return HKDF(digest, size, ukm or None, info).derive(secret)
    return X963KDF(digest, size, info).derive(secret)


def _shared_info(wrap: bytes, ukm: bytes, size: int) -> bytes:
    """ECC-CMS-SharedInfo (RFC 5753, 7.2)."""
    keying_material = der.element(0xA0, der.element(der.OCTET_STRING, ukm)) if ukm else b""
    bits = (size * 8).to_bytes(4, "big")
    return der.element(
        der.SEQUENCE, wrap, keying_material, der.element(0xA2, der.element(der.OCTET_STRING, bits))
    )
