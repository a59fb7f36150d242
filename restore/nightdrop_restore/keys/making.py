"""Making recipients.

A recipient is a folder's worth of two files: `certificate.pem`, which goes everywhere, and `key.pem`,
which stays offline: the private key (PKCS#8, encrypted with a passphrase) followed by a copy of the
certificate, so that the file alone says whose envelopes it opens.
"""

import datetime
import os
from pathlib import Path
from typing import Final, Literal

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from nightdrop.errors import UsageError
from nightdrop.files import sync
from nightdrop_restore.envelope.unwrapping import PrivateKey
from nightdrop_restore.keys.locking import locked

KeyType = Literal["rsa-4096", "ec-p384", "x25519"]

CERTIFICATE_NAME: Final = "certificate.pem"
KEY_NAME: Final = "key.pem"
_YEARS: Final = 20


def new_key(
    folder: Path, name: str, passphrase: bytes, key_type: KeyType = "rsa-4096"
) -> tuple[Path, Path]:
    """Make a recipient called `name` in `folder`, which must not hold one: (key, certificate).

    RSA of 4096 bits is what openssl, gpgsm and every old tool open; P-384 opens with openssl and gpgsm
    2.4, X25519 with `nightdrop open` alone. The certificate is good for 20 years, because a backup is
    opened long after it was made. Raises UsageError if there is a key in `folder` already.
    """
    private = _generate(key_type)
    certificate = _certificate(private, name).public_bytes(serialization.Encoding.PEM)
    key = locked(private, passphrase)
    return write_recipient(folder, key + certificate, certificate)


def write_recipient(folder: Path, key: bytes, certificate: bytes) -> tuple[Path, Path]:
    """Write the two files of a recipient (PEM), the second only if there is a certificate; their paths.

    UsageError if one of them is there already.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for path in (folder / KEY_NAME, folder / CERTIFICATE_NAME):
        if os.path.lexists(path):
            raise _exists(path)
    _create(folder / KEY_NAME, key, 0o600)
    if certificate:
        _create(folder / CERTIFICATE_NAME, certificate, 0o644)
    sync(folder)
    return folder / KEY_NAME, folder / CERTIFICATE_NAME


def _generate(key_type: KeyType) -> PrivateKey:
    if key_type == "ec-p384":
        return ec.generate_private_key(ec.SECP384R1())
    if key_type == "x25519":
        return X25519PrivateKey.generate()
    return rsa.generate_private_key(public_exponent=65537, key_size=4096)


def _certificate(private: PrivateKey, name: str) -> x509.Certificate:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    public = private.public_key()
    # An hour back: the first machine that uses it may have a clock that is a little behind.
    start = datetime.datetime.now(datetime.UTC).replace(microsecond=0) - datetime.timedelta(hours=1)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(start + datetime.timedelta(days=_YEARS * 365.25))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(isinstance(private, rsa.RSAPrivateKey)), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
    )
    if isinstance(private, X25519PrivateKey):
        # It cannot sign. Nobody trusts the certificate for its signature, so any key will do, once.
        return builder.sign(Ed25519PrivateKey.generate(), None)
    # gpgsm imports no certificate on a curve that is signed with a shorter digest than the curve's.
    on_a_curve = isinstance(private, ec.EllipticCurvePrivateKey)
    return builder.sign(private, hashes.SHA384() if on_a_curve else hashes.SHA256())


def _key_usage(is_rsa: bool) -> x509.KeyUsage:
    """What gpgsm and openssl want to see in a certificate one encrypts to."""
    return x509.KeyUsage(
        digital_signature=False,
        content_commitment=False,
        key_encipherment=is_rsa,
        data_encipherment=is_rsa,
        key_agreement=not is_rsa,
        key_cert_sign=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )


def _create(path: Path, octets: bytes, mode: int) -> None:
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    except FileExistsError as error:
        raise _exists(path) from error
    with os.fdopen(descriptor, "wb") as file:
        file.write(octets)
        file.flush()
        os.fsync(descriptor)


def _exists(path: Path) -> UsageError:
    return UsageError(f"{path} exists", "a key is never overwritten; name another folder")
