"""Signatures of receipts: detached CMS SignedData in DER (RFC 5652, section 5), as openssl checks them.

A receipt that is signed cannot be made by whoever rules a mirror or has only a host's password. The
signing certificate vouches for nothing but its key: it is known because it was enrolled, so its
dates and its issuer do not matter.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from nightdrop.errors import ConfigurationError, SignatureError
from nightdrop.files import read_short
from nightdrop.text import harmless

if TYPE_CHECKING:
    from asn1crypto.cms import SignerIdentifier
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
    from cryptography.x509 import Certificate

LONGEST: Final = 64 * 1024
"""Octets of a signature that are read: one with a chain of certificates has a few thousand."""

_DIGESTS: Final = ("sha256", "sha384", "sha512")
_NO_SIGNER: Final = "is neither RSA nor on an elliptic curve that is known here"
_MAKE: Final = "docs/OPERATIONS.md, Signing, has the openssl command that makes one"


@dataclass(frozen=True)
class SigningKey:
    """A private key that signs receipts, RSA or on an elliptic curve, and its certificate."""

    key: "RSAPrivateKey | EllipticCurvePrivateKey"
    certificate: "Certificate"

    def sign(self, octets: bytes) -> bytes:
        """A detached signature of these octets."""
        from cryptography.hazmat.primitives import hashes
        from cryptography.hazmat.primitives.serialization import Encoding
        from cryptography.hazmat.primitives.serialization.pkcs7 import (
            PKCS7Options,
            PKCS7SignatureBuilder,
        )

        builder = PKCS7SignatureBuilder().set_data(octets)
        builder = builder.add_signer(self.certificate, self.key, hashes.SHA256())
        options = [PKCS7Options.DetachedSignature, PKCS7Options.Binary, PKCS7Options.NoCapabilities]
        return builder.sign(Encoding.DER, options)


def load_signing_key(path: Path) -> SigningKey:
    """Read a PEM file with a private key and its certificate; ConfigurationError says what is wrong."""
    from cryptography import x509
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric import ec, rsa
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        text = read_short(path)
    except OSError as error:
        raise ConfigurationError(f"{path}: cannot read this signing key: {error.strerror}") from error
    try:
        key = load_pem_private_key(text, None)
        certificate = x509.load_pem_x509_certificate(text)
        own = certificate.public_key() == key.public_key()
    except (ValueError, TypeError) as error:
        raise ConfigurationError(
            f"{path}: a signing key is a private key without a passphrase and its certificate, in PEM",
            _MAKE,
        ) from error
    except UnsupportedAlgorithm as error:
        raise ConfigurationError(f"{path}: this key {_NO_SIGNER}", _MAKE) from error
    if not isinstance(key, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey):
        raise ConfigurationError(f"{path}: this key {_NO_SIGNER}", _MAKE)
    if not own:
        raise ConfigurationError(f"{path}: the certificate is of another key", _MAKE)
    return SigningKey(key, certificate)


def read_signers(path: Path) -> list[str]:
    """The certificates in a PEM file, as PEM; ConfigurationError if there is none, or a private key."""
    from cryptography.hazmat.primitives.serialization import Encoding

    try:
        text = read_short(path)
    except OSError as error:
        raise ConfigurationError(f"{path}: cannot read this certificate: {error.strerror}") from error
    if b"PRIVATE KEY-----" in text:
        raise ConfigurationError(
            f"{path}: there is a private key here, too",
            "it stays on the host that signs; only the certificate belongs here",
        )
    return [
        signer.public_bytes(Encoding.PEM).decode()
        for signer in load_signers(text.decode(errors="replace"), str(path))
    ]


def load_signers(text: str, origin: str) -> tuple["Certificate", ...]:
    """The certificates in a PEM text, of hosts that sign; ConfigurationError if there is none, or one
    whose key cannot sign receipts.
    """
    from cryptography import x509
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric import ec, rsa

    try:
        signers = tuple(x509.load_pem_x509_certificates(text.encode()))
    except ValueError as error:
        raise ConfigurationError(f"{origin}: there is no certificate in PEM here", _MAKE) from error
    try:
        keys = [signer.public_key() for signer in signers]
    except (ValueError, UnsupportedAlgorithm):
        keys = []
    if not keys or not all(isinstance(key, rsa.RSAPublicKey | ec.EllipticCurvePublicKey) for key in keys):
        raise ConfigurationError(f"{origin}: the key of a certificate here {_NO_SIGNER}", _MAKE)
    return signers


def verify(signature: bytes, octets: bytes, signers: tuple["Certificate", ...]) -> None:
    """See that these octets were signed by one of the signers; SignatureError says why not."""
    try:
        found = _read(signature, signers)
    # asn1crypto reads lazily, and stumbles over what is none in all these ways.
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError) as error:
        raise SignatureError("it is no CMS signature") from error
    if found.algorithm not in _DIGESTS:
        raise SignatureError(f"its digest is {harmless(found.algorithm, 40)}")
    if found.digests is not None and found.digests != [hashlib.new(found.algorithm, octets).digest()]:
        raise SignatureError("it is of other bytes than are there")
    _check(found, octets if found.attributes is None else found.attributes)


class _SignerInfo(NamedTuple):
    """What a signature says of one of its signers: its `algorithm` makes the digest; with signed
    `attributes` (as they were signed), those hold the `digests` of the content.
    """

    signer: "Certificate"
    algorithm: str
    signature: bytes
    attributes: bytes | None
    digests: list[object] | None


def _read(signature: bytes, signers: tuple["Certificate", ...]) -> _SignerInfo:
    """What a signature says of the first of these signers that it names."""
    from asn1crypto.cms import ContentInfo

    content = ContentInfo.load(signature, strict=True)
    if content["content_type"].native != "signed_data":
        raise SignatureError("it is a CMS message, but no signature")
    infos = list(content["content"]["signer_infos"])
    for info in infos:
        for signer in signers:
            if not _is_of(info["sid"], signer):
                continue
            algorithm, octets = info["digest_algorithm"]["algorithm"].native, info["signature"].native
            if not info["signed_attrs"]:
                return _SignerInfo(signer, algorithm, octets, None, None)
            attributes = {each["type"].native: list(each["values"]) for each in info["signed_attrs"]}
            digests = [value.native for value in attributes.get("message_digest", ())]
            # What is signed is the SET, with its own tag in place of the implicit one (RFC 5652, 5.4).
            signed = b"\x31" + info["signed_attrs"].dump()[1:]
            return _SignerInfo(signer, algorithm, octets, signed, digests)
    raise SignatureError("somebody else signed it" if infos else "nobody signed it")


def _is_of(identifier: "SignerIdentifier", signer: "Certificate") -> bool:
    named = identifier.chosen
    if identifier.name == "subject_key_identifier":
        return bool(named.native == _key_id(signer))
    same_issuer = named["issuer"].dump() == signer.issuer.public_bytes()
    return bool(same_issuer and named["serial_number"].native == signer.serial_number)


def _key_id(certificate: "Certificate") -> bytes | None:
    from cryptography import x509

    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier)
    except x509.ExtensionNotFound:
        return None
    return found.value.digest


def _check(found: _SignerInfo, octets: bytes) -> None:
    """See that the signature is of these octets."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

    key = found.signer.public_key()
    digest: hashes.HashAlgorithm = getattr(hashes, found.algorithm.upper())()
    try:
        if isinstance(key, rsa.RSAPublicKey):
            key.verify(found.signature, octets, padding.PKCS1v15(), digest)
        elif isinstance(key, ec.EllipticCurvePublicKey):
            key.verify(found.signature, octets, ec.ECDSA(digest))
        else:
            raise SignatureError("the signer's key is neither RSA nor on an elliptic curve")
    except InvalidSignature as error:
        raise SignatureError("it does not hold") from error
