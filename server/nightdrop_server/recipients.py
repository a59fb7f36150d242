"""The recipients that a mirror hands out with every bundle: certificates, read from its PEM files."""

from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from nightdrop.errors import ConfigurationError
from nightdrop.mirror import Mirror


def load_recipients(mirror: Mirror) -> list[str]:
    """Every recipient's certificate, PEM, each once. ConfigurationError names the file that has none, or
    that has a private key, which must never be on a mirror.
    """
    return list(dict.fromkeys(pem for path in mirror.recipients for pem in _load(path, mirror)))


def normal_pem(pem: str) -> str:
    """The same certificate as everybody would write it, so that two can be compared."""
    return x509.load_pem_x509_certificate(pem.encode()).public_bytes(Encoding.PEM).decode()


def _load(path: Path, mirror: Mirror) -> list[str]:
    try:
        octets = path.read_bytes()
    except OSError as error:
        raise ConfigurationError(
            f"{mirror.path}: key `recipients`: cannot read {path}: {error.strerror}",
            "`nightdrop key new` on the administrator's machine makes one; copy its certificate here",
        ) from error
    if b"PRIVATE KEY" in octets:
        raise ConfigurationError(
            f"{path} holds a PRIVATE KEY, which must never be on a mirror",
            "remove it from this machine, and put only the certificate here; "
            "a key that was on a mirror should not be used for backups any more",
        )
    try:
        certificates = x509.load_pem_x509_certificates(octets)
    except ValueError as error:
        raise ConfigurationError(f"{path}: this is not a certificate in PEM") from error
    return [certificate.public_bytes(Encoding.PEM).decode() for certificate in certificates]
