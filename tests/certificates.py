"""Certificates for tests, self-signed: of recipients, of mail servers, of nobody."""

from datetime import UTC, datetime

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

Digest = hashes.SHA256 | hashes.SHA384 | hashes.SHA512
PrivateKey = RSAPrivateKey | EllipticCurvePrivateKey | Ed25519PrivateKey | X25519PrivateKey

SINCE = datetime(2020, 1, 1, tzinfo=UTC)
UNTIL = datetime(2049, 1, 1, tzinfo=UTC)


def make_certificate(
    private: PrivateKey,
    name: str,
    *critical: x509.ExtensionType,
    extensions: tuple[x509.ExtensionType, ...] = (),
    serial: int | None = None,
    until: datetime = UNTIL,
) -> x509.Certificate:
    """A certificate of this name for a key, signed with it; by whom it may be where it cannot sign."""
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(private.public_key())
        .serial_number(serial or x509.random_serial_number())
        .not_valid_before(SINCE)
        .not_valid_after(until)
    )
    for extension in critical:
        builder = builder.add_extension(extension, critical=True)
    for extension in extensions:
        builder = builder.add_extension(extension, critical=False)
    signer = Ed25519PrivateKey.generate() if isinstance(private, X25519PrivateKey) else private
    return builder.sign(signer, _digest(signer))


def _digest(signer: RSAPrivateKey | EllipticCurvePrivateKey | Ed25519PrivateKey) -> Digest | None:
    """What a key signs with: on a curve, gpgsm takes none that is shorter than the curve."""
    if isinstance(signer, Ed25519PrivateKey):
        return None
    if isinstance(signer, RSAPrivateKey) or signer.key_size <= 256:
        return hashes.SHA256()
    return hashes.SHA384() if signer.key_size <= 384 else hashes.SHA512()


def to_pem(made: PrivateKey | x509.Certificate) -> bytes:
    """A certificate as PEM; a private key as PKCS#8 in PEM, without a passphrase."""
    if isinstance(made, x509.Certificate):
        return made.public_bytes(Encoding.PEM)
    return made.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
