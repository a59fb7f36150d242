"""From a private key and an envelope's entries to the content encryption key (RFC 5652, 6.2)."""

from collections.abc import Sequence
from dataclasses import dataclass

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.padding import MGF1, OAEP, PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.keywrap import InvalidUnwrap, aes_key_unwrap

from nightdrop.envelope import algorithms, der
from nightdrop.envelope.agreement import wrapping_key
from nightdrop.envelope.algorithms import DIGESTS
from nightdrop.envelope.entries import Agreement, Entry, Transport
from nightdrop.envelope.recipients import RecipientId
from nightdrop.errors import EnvelopeError

PrivateKey = RSAPrivateKey | EllipticCurvePrivateKey | X25519PrivateKey


@dataclass(frozen=True)
class Key:
    """A private key that opens. `ids` are the ways an envelope may name its recipient; empty where
    the key came without its certificate.
    """

    private: PrivateKey
    ids: frozenset[RecipientId]


def unwrapped(entries: Sequence[Entry], key: Key) -> bytes | None:
    """The content encryption key, out of the entries that are for this key; None if none is.

    An entry for somebody else is never tried in the hope that it fails: OpenSSL answers a wrong RSA key
    with random bytes instead of an error (implicit rejection, against Bleichenbacher's attack).
    """
    for entry in _entries_for(key, entries):
        if isinstance(entry, Transport) and isinstance(key.private, RSAPrivateKey):
            found = _transported(entry, key.private)
        elif isinstance(entry, Agreement) and not isinstance(key.private, RSAPrivateKey):
            found = _agreed(entry, key.private)
        else:
            continue
        if found is not None:
            return found
    return None


def _entries_for(key: Key, entries: Sequence[Entry]) -> list[Entry]:
    if key.ids:
        return [entry for entry in entries if entry.recipient in key.ids]
    if not isinstance(key.private, RSAPrivateKey):
        # A key wrap proves itself (RFC 3394, 2.2.3), so these may be tried one after the other.
        return list(entries)
    octets = (key.private.key_size + 7) // 8
    fitting: list[Entry] = [
        entry for entry in entries if isinstance(entry, Transport) and len(entry.key) == octets
    ]
    if len(fitting) > 1:
        raise EnvelopeError(
            "this envelope has several recipients, and the key does not say which of them it is",
            "append the recipient's certificate (PEM) to the file of the key",
        )
    return fitting


def _transported(entry: Transport, private: RSAPrivateKey) -> bytes | None:
    try:
        return private.decrypt(entry.key, _padding(entry.algorithm))
    except ValueError:
        return None


def _padding(algorithm: bytes) -> PKCS1v15 | OAEP:
    """Which padding an AlgorithmIdentifier means; ValueError for another one."""
    try:
        identifier, *parameters = der.children(der.contents(algorithm, der.SEQUENCE))
        if identifier == algorithms.RSA_ENCRYPTION:
            return PKCS1v15()
        if identifier == algorithms.RSAES_OAEP:
            return _oaep(parameters[0] if parameters else der.element(der.SEQUENCE))
    except (EnvelopeError, KeyError, IndexError):
        pass
    raise ValueError


def _oaep(parameters: bytes) -> OAEP:
    """RSAES-OAEP-params (RFC 4055, 4.1): a hash and a mask hash, SHA-1 where one is not named, and a
    label, which nothing we know writes.
    """
    named: dict[int, bytes] = {}
    for field in der.children(der.contents(parameters, der.SEQUENCE)):
        [named[field[0]]] = der.children(der.contents(field, field[0]))
    digest: hashes.HashAlgorithm = hashes.SHA1()  # noqa: S303
    mask = digest
    if 0xA0 in named:
        digest = _digest(named[0xA0])
    if 0xA1 in named:
        function, mask_digest = der.children(der.contents(named[0xA1], der.SEQUENCE))
        if function != algorithms.MGF1:
            raise ValueError
        mask = _digest(mask_digest)
    label = None
    if 0xA2 in named:
        label = der.contents(der.children(der.contents(named[0xA2], der.SEQUENCE))[1], der.OCTET_STRING)
    return OAEP(MGF1(mask), digest, label)


def _digest(identifier: bytes) -> hashes.HashAlgorithm:
    digest: hashes.HashAlgorithm = getattr(hashes, DIGESTS[der.first(identifier)].upper())()
    return digest


def _agreed(entry: Agreement, private: EllipticCurvePrivateKey | X25519PrivateKey) -> bytes | None:
    try:
        if isinstance(private, X25519PrivateKey):
            secret = private.exchange(X25519PublicKey.from_public_bytes(entry.originator))
        else:
            point = EllipticCurvePublicKey.from_encoded_point(private.curve, entry.originator)
            secret = private.exchange(ec.ECDH(), point)
        return aes_key_unwrap(wrapping_key(secret, entry.scheme, entry.wrap, entry.ukm), entry.key)
    except (ValueError, InvalidUnwrap, EnvelopeError, UnsupportedAlgorithm):
        return None
