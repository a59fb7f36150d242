"""The entries of an envelope, one a recipient: the content encryption key on its way to each of them.

RecipientInfo of RFC 5652, 6.2: key transport for RSA (RFC 3370, RFC 3560), key agreement for elliptic
curves (RFC 5753) and X25519 (RFC 8418). Written here when sealing, and read without a key.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from nightdrop.envelope import der
from nightdrop.envelope.agreement import AES256_WRAP, wrapping_key
from nightdrop.envelope.algorithms import (
    EC_PUBLIC_KEY,
    MGF1,
    RSA_ENCRYPTION,
    RSAES_OAEP,
    SHA256,
    X25519,
)
from nightdrop.envelope.public_keys import EC_SCHEMES, not_sealable, sealing_key
from nightdrop.envelope.recipients import Recipient, RecipientId
from nightdrop.errors import ConfigurationError, EnvelopeError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PublicKey

CURVES: Final = {65: "EC P-256", 97: "EC P-384", 133: "EC P-521", 32: "X25519"}
"""Which curve it is, by the octets of a public key on it: an uncompressed point, or X25519's."""

_X25519_SCHEME: Final = der.oid("1.2.840.113549.1.9.16.3.19")

_OTHER_KINDS: Final = {0xA2: "a shared key", 0xA3: "a password", 0xA4: "something else"}


@dataclass(frozen=True)
class Addressing:
    """How recipients are named and reached: by issuer and serial number or by subject key identifier,
    and, with an RSA key, by PKCS#1 v1.5 (which gpgsm and every openssl open) or OAEP with SHA-256.
    """

    name: Literal["issuer", "key-id"] = "issuer"
    rsa: Literal["pkcs1", "oaep"] = "pkcs1"


@dataclass(frozen=True)
class Transport:
    """The content encryption key, encrypted to an RSA key. `algorithm` is the AlgorithmIdentifier."""

    recipient: RecipientId
    algorithm: bytes
    key: bytes

    @property
    def key_type(self) -> str:
        """The kind of the recipient's key, for people."""
        name = "RSA-OAEP" if der.first(self.algorithm) == RSAES_OAEP else "RSA"
        return f"{name} {len(self.key) * 8}"


@dataclass(frozen=True)
class Agreement:
    """The content encryption key, wrapped with a key that follows from the secret shared by the
    `originator`'s ephemeral key (a point, as octets) and the recipient's. `scheme`, `wrap` and `ukm`
    are for `wrapping_key`.
    """

    recipient: RecipientId
    originator: bytes
    scheme: bytes
    wrap: bytes
    ukm: bytes
    key: bytes

    @property
    def key_type(self) -> str:
        """The kind of the recipient's key, for people."""
        return CURVES.get(len(self.originator), "EC")


@dataclass(frozen=True)
class Other:
    """An entry that is only described: `key_type` says what would open it."""

    recipient: RecipientId
    key_type: str


Entry = Transport | Agreement | Other


def entry_for(recipient: Recipient, key: bytes, addressing: Addressing) -> bytes:
    """The RecipientInfo that carries the content encryption key to a recipient, as DER.

    Raises ConfigurationError for a kind of key that cannot be sealed to.
    """
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

    public = sealing_key(recipient)
    try:
        if isinstance(public, RSAPublicKey):
            return _transport(recipient, public, key, addressing)
        return _agreement(recipient, public, key, addressing)
    except ValueError as error:
        # A point of X25519 with which there is no secret.
        raise not_sealable(recipient) from error


def _transport(recipient: Recipient, public: "RSAPublicKey", key: bytes, addressing: Addressing) -> bytes:
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import padding

    if addressing.rsa == "oaep":
        digest = hashes.SHA256()
        encrypted = public.encrypt(key, padding.OAEP(padding.MGF1(digest), digest, None))
        identifier = der.element(der.SEQUENCE, SHA256)
        mask = der.element(der.SEQUENCE, MGF1, identifier)
        parameters = der.element(der.SEQUENCE, der.element(0xA0, identifier), der.element(0xA1, mask))
        algorithm = der.element(der.SEQUENCE, RSAES_OAEP, parameters)
    else:
        encrypted = public.encrypt(key, padding.PKCS1v15())
        algorithm = der.element(der.SEQUENCE, RSA_ENCRYPTION, der.element(der.NULL))
    key_id = _key_id(recipient, addressing)
    return der.element(
        der.SEQUENCE,
        der.integer(2 if key_id else 0),
        der.element(0x80, key_id) if key_id else _by_issuer(recipient),
        algorithm,
        der.element(der.OCTET_STRING, encrypted),
    )


def _agreement(
    recipient: Recipient,
    public: "EllipticCurvePublicKey | X25519PublicKey",
    key: bytes,
    addressing: Addressing,
) -> bytes:
    from cryptography.hazmat.primitives.asymmetric import ec, x25519
    from cryptography.hazmat.primitives.keywrap import aes_key_wrap
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    if isinstance(public, x25519.X25519PublicKey):
        ephemeral = x25519.X25519PrivateKey.generate()
        secret = ephemeral.exchange(public)
        point = ephemeral.public_key().public_bytes_raw()
        algorithm, scheme = X25519, _X25519_SCHEME
    else:
        one_time = ec.generate_private_key(public.curve)
        secret = one_time.exchange(ec.ECDH(), public)
        point = one_time.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
        algorithm, scheme = EC_PUBLIC_KEY, EC_SCHEMES[public.curve.name]
    wrap = der.element(der.SEQUENCE, AES256_WRAP)
    wrapped = aes_key_wrap(wrapping_key(secret, scheme, wrap), key)
    key_id = _key_id(recipient, addressing)
    named = der.element(0xA0, der.element(der.OCTET_STRING, key_id)) if key_id else _by_issuer(recipient)
    originator = der.element(
        0xA1, der.element(der.SEQUENCE, algorithm), der.element(der.BIT_STRING, b"\0", point)
    )
    return der.element(
        0xA1,
        der.integer(3),
        der.element(0xA0, originator),
        der.element(der.SEQUENCE, scheme, wrap),
        der.element(
            der.SEQUENCE,
            der.element(der.SEQUENCE, named, der.element(der.OCTET_STRING, wrapped)),
        ),
    )


def _by_issuer(recipient: Recipient) -> bytes:
    return der.element(der.SEQUENCE, *recipient.issuer_and_serial)


def _key_id(recipient: Recipient, addressing: Addressing) -> bytes:
    """The recipient's key identifier if it is to be named by that, else nothing."""
    if addressing.name == "issuer":
        return b""
    if not recipient.key_id:
        raise ConfigurationError(
            f"the certificate of {recipient.name} has no subject key identifier",
            "seal without --key-id, by the certificate's issuer and serial number",
        )
    return recipient.key_id


def read_entries(infos: Iterable[bytes]) -> tuple[Entry, ...]:
    """What the elements of recipientInfos say; EnvelopeError where one of them cannot be read."""
    try:
        return tuple(entry for info in infos for entry in _read(info))
    except (EnvelopeError, ValueError, IndexError) as error:
        raise EnvelopeError("its list of recipients cannot be read") from error


def _read(info: bytes) -> list[Entry]:
    tag = info[0]
    if tag == der.SEQUENCE:
        _version, rid, algorithm, key = der.children(der.contents(info, der.SEQUENCE))
        der.first(algorithm)
        return [Transport(_recipient(rid), algorithm, der.contents(key, der.OCTET_STRING))]
    if tag == 0xA1:
        return list(_read_agreement(der.children(der.contents(info, tag))))
    kind = _OTHER_KINDS.get(tag)
    if kind is None:
        raise EnvelopeError("a recipient is of no known kind")
    return [Other(RecipientId(key_id=kind.encode()), kind)]


def _read_agreement(fields: list[bytes]) -> list[Entry]:
    originator_field, *rest = fields[1:]
    [originator] = der.children(der.contents(originator_field, 0xA0))
    ukm = b""
    if rest[0][0] == 0xA1:
        [keying_material] = der.children(der.contents(rest.pop(0), 0xA1))
        ukm = der.contents(keying_material, der.OCTET_STRING)
    algorithm, keys = rest
    scheme, *wraps = der.children(der.contents(algorithm, der.SEQUENCE))
    entries: list[Entry] = []
    for one in der.children(der.contents(keys, der.SEQUENCE)):
        rid, key = der.children(der.contents(one, der.SEQUENCE))
        recipient = _recipient(rid)
        if originator[0] == 0xA1 and len(wraps) == 1 and wraps[0][0] == der.SEQUENCE:
            point = der.bits(der.children(der.contents(originator, 0xA1))[1])
            wrapped = der.contents(key, der.OCTET_STRING)
            entries.append(Agreement(recipient, point, scheme, wraps[0], ukm, wrapped))
        else:
            # The sender's key is a certificate's (static Diffie-Hellman), or the scheme is an old one.
            entries.append(Other(recipient, "key agreement"))
    return entries


def _recipient(rid: bytes) -> RecipientId:
    """Issuer and serial number, or a key identifier: as [0] (6.2.1), or in a sequence as [0] (6.2.2)."""
    if rid[0] == der.SEQUENCE:
        issuer, serial = der.children(der.contents(rid, der.SEQUENCE))
        return RecipientId(issuer, int.from_bytes(der.contents(serial, der.INTEGER), signed=True))
    if rid[0] == 0x80:
        return RecipientId(key_id=der.contents(rid, 0x80))
    return RecipientId(key_id=der.contents(der.children(der.contents(rid, 0xA0))[0], der.OCTET_STRING))
