"""CMS messages put together octet by octet: every form that others write, and forms that nobody should.

Independent of how Nightdrop seals: plain `cryptography`, and BER by hand.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
from cryptography.hazmat.primitives.asymmetric.padding import MGF1, OAEP, PKCS1v15
from cryptography.hazmat.primitives.ciphers import AEADEncryptionContext, Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC, GCM
from cryptography.hazmat.primitives.hashes import SHA1, SHA256, HashAlgorithm

from core.keyring import Holder
from nightdrop.envelope import der
from nightdrop.envelope.algorithms import AUTH_ENVELOPED_DATA, CIPHERS, DATA, ENVELOPED_DATA

EOC = b"\0\0"
Encode = Callable[[bytes], bytes]


def indefinite(tag: int, *contents: bytes) -> bytes:
    """One constructed element of indefinite length."""
    return bytes((tag, 0x80)) + b"".join(contents) + EOC


def segments(octets: bytes, size: int) -> list[bytes]:
    """Octets as a row of OCTET STRINGs of this size."""
    return [der.element(0x04, octets[at : at + size]) for at in range(0, len(octets), size)]


def primitive(octets: bytes) -> bytes:
    """The content as one [0] of definite length: what `gpgsm` and openssl without -stream write."""
    return der.element(0x80, octets)


def segmented(size: int, *, definite: bool = False) -> Encode:
    """The content as a row of segments: what we write, and openssl with -stream."""
    wrap = der.element if definite else indefinite
    return lambda octets: wrap(0xA0, *segments(octets, size))


def nested(octets: bytes) -> bytes:
    """The content as OCTET STRINGs in OCTET STRINGs, definite and indefinite in turn."""
    third = len(octets) // 3
    parts = [octets[:third], octets[third : 2 * third], octets[2 * third :]]
    return indefinite(
        0xA0,
        der.element(0x24, *segments(parts[0], 7), der.element(0x04)),
        indefinite(0x24, indefinite(0x24, *segments(parts[1], 100)), der.element(0x24)),
        indefinite(0x24),
        der.element(0x04, parts[2]),
    )


def integrated(key: bytes, holder: Holder, digest: HashAlgorithm | None, *, by_key_id: bool) -> bytes:
    """A KeyTransRecipientInfo: PKCS#1 v1.5, or OAEP with a digest; by issuer and serial or key id."""
    public = holder.private.public_key()
    if digest is None:
        algorithm = der.element(0x30, der.oid("1.2.840.113549.1.1.1"), der.element(der.NULL))
        encrypted = public.encrypt(key, PKCS1v15())
    else:
        sha = {"sha1": "1.3.14.3.2.26", "sha256": "2.16.840.1.101.3.4.2.1"}[digest.name]
        sha_identifier = der.element(0x30, der.oid(sha))
        mask = der.element(0x30, der.oid("1.2.840.113549.1.1.8"), sha_identifier)
        parameters = der.element(0x30, der.element(0xA0, sha_identifier), der.element(0xA1, mask))
        algorithm = der.element(0x30, der.oid("1.2.840.113549.1.1.7"), parameters)
        encrypted = public.encrypt(key, OAEP(MGF1(digest), digest, None))
    identifier = holder.recipient.by_issuer
    if by_key_id:
        [key_id] = [one.key_id for one in holder.recipient.ids if one.key_id]
        rid = der.element(0x80, key_id)
    else:
        rid = der.element(0x30, identifier.issuer, der.integer(identifier.serial))
    return der.element(
        0x30, der.integer(2 if by_key_id else 0), rid, algorithm, der.element(0x04, encrypted)
    )


@dataclass(frozen=True)
class Message:
    """The parts of a message, and how to write them. `before` stands between version and recipients,
    `after` after the content (and the tag), `trailing` after the message.
    """

    content_type: bytes
    transports: tuple[bytes, ...]
    algorithm: bytes
    ciphertext: bytes
    tag: bytes = b""
    version: int = 0
    before: bytes = b""
    after: bytes = b""
    trailing: bytes = b""
    content: Encode = field(default=segmented(64 * 1024))
    definite: bool = False

    def encode(self) -> bytes:
        """The message."""
        wrap = der.element if self.definite else indefinite
        info = wrap(0x30, DATA, self.algorithm, self.content(self.ciphertext))
        tag = der.element(0x04, self.tag) if self.tag else b""
        data = wrap(
            0x30,
            der.integer(self.version),
            self.before,
            der.element(der.SET, *self.transports),
            info,
            tag,
            self.after,
        )
        return wrap(0x30, self.content_type, wrap(0xA0, data)) + self.trailing

    def but(self, **changes: object) -> "Message":
        """The same, but for this."""
        return replace(self, **changes)  # type: ignore[arg-type]


def compose(
    plaintext: bytes,
    holder: Holder,
    cipher: str = "aes-256-gcm",
    *,
    digest: HashAlgorithm | None = None,
    by_key_id: bool = False,
    tag_length: int = 16,
    nonce_length: int = 12,
) -> Message:
    """A message to one recipient."""
    [(identifier, facts)] = [(i, c) for i, c in CIPHERS.items() if c.name == cipher]
    key = os.urandom(facts.key_size)
    transport = integrated(key, holder, digest, by_key_id=by_key_id)
    algorithm = TripleDES(key) if facts.block == 8 else AES(key)
    if facts.mode == "cbc":
        nonce = os.urandom(facts.block)
        parameters = der.element(0x04, nonce)
        padding = facts.block - len(plaintext) % facts.block
        context = Cipher(algorithm, CBC(nonce)).encryptor()
        ciphertext = context.update(plaintext + bytes((padding,)) * padding) + context.finalize()
        tag = b""
    else:
        nonce = os.urandom(nonce_length)
        length = der.integer(tag_length) if tag_length != 12 else b""
        parameters = der.element(0x30, der.element(0x04, nonce), length)
        context = Cipher(algorithm, GCM(nonce)).encryptor()
        ciphertext = context.update(plaintext) + context.finalize()
        assert isinstance(context, AEADEncryptionContext)
        tag = context.tag[:tag_length]
    return Message(
        ENVELOPED_DATA if facts.mode == "cbc" else AUTH_ENVELOPED_DATA,
        (transport,),
        der.element(0x30, identifier, parameters),
        ciphertext,
        tag,
    )


DIGESTS: dict[str, HashAlgorithm | None] = {
    "PKCS#1 v1.5": None,
    "OAEP, SHA-1": SHA1(),
    "OAEP, SHA-256": SHA256(),
}
