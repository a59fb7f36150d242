"""The algorithms that envelopes name, by their object identifiers, and what each of them needs."""

from dataclasses import dataclass
from typing import Final, Literal

from nightdrop.envelope.der import oid

CipherName = Literal["aes-256-gcm", "aes-256-cbc"]
SEALING_CIPHERS: Final[tuple[CipherName, ...]] = ("aes-256-gcm", "aes-256-cbc")

DATA: Final = oid("1.2.840.113549.1.7.1")
ENVELOPED_DATA: Final = oid("1.2.840.113549.1.7.3")
AUTH_ENVELOPED_DATA: Final = oid("1.2.840.113549.1.9.16.1.23")
RSA_ENCRYPTION: Final = oid("1.2.840.113549.1.1.1")
RSAES_OAEP: Final = oid("1.2.840.113549.1.1.7")
MGF1: Final = oid("1.2.840.113549.1.1.8")
EC_PUBLIC_KEY: Final = oid("1.2.840.10045.2.1")
X25519: Final = oid("1.3.101.110")
SHA256: Final = oid("2.16.840.1.101.3.4.2.1")

DIGESTS: Final = {
    oid("1.3.14.3.2.26"): "sha1",
    oid("2.16.840.1.101.3.4.2.4"): "sha224",
    SHA256: "sha256",
    oid("2.16.840.1.101.3.4.2.2"): "sha384",
    oid("2.16.840.1.101.3.4.2.3"): "sha512",
}
"""What RSAES-OAEP may hash with."""

GCM_LIMIT: Final = 2**36 - 32
"""Most octets that one AES-GCM message may hold (NIST SP 800-38D, 5.2.1.1)."""


@dataclass(frozen=True)
class Cipher:
    """A content encryption algorithm: sizes in octets. `strong` is False for what is read only
    because old sets were written with it.
    """

    name: str
    key_size: int
    mode: Literal["cbc", "gcm"]
    block: int = 16
    strong: bool = True


CIPHERS: Final = {
    oid("2.16.840.1.101.3.4.1.46"): Cipher("aes-256-gcm", 32, "gcm"),
    oid("2.16.840.1.101.3.4.1.26"): Cipher("aes-192-gcm", 24, "gcm"),
    oid("2.16.840.1.101.3.4.1.6"): Cipher("aes-128-gcm", 16, "gcm"),
    oid("2.16.840.1.101.3.4.1.42"): Cipher("aes-256-cbc", 32, "cbc"),
    oid("2.16.840.1.101.3.4.1.22"): Cipher("aes-192-cbc", 24, "cbc"),
    oid("2.16.840.1.101.3.4.1.2"): Cipher("aes-128-cbc", 16, "cbc"),
    oid("1.2.840.113549.3.7"): Cipher("des-ede3-cbc", 24, "cbc", block=8, strong=False),
}

CIPHER_OIDS: Final = {cipher.name: identifier for identifier, cipher in CIPHERS.items()}
