"""Recipient keys: making one, and reading one with its passphrase.

A recipient is a folder's worth of two files: `certificate.pem`, which goes everywhere, and `key.pem`,
which stays offline: the private key (PKCS#8, encrypted with a passphrase) followed by a copy of the
certificate, so that the file alone says whose envelopes it opens.
"""

import datetime
import getpass
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from nightdrop.envelope.recipients import RecipientId, parse_recipients
from nightdrop.errors import ConfigurationError, NightdropError, UsageError
from nightdrop.files import sync_folder
from nightdrop_restore.opening import Key

CERTIFICATE_NAME: Final = "certificate.pem"
KEY_NAME: Final = "key.pem"
_YEARS: Final = 20
_BITS: Final = 4096


def new_key(folder: Path, name: str, passphrase: bytes) -> tuple[Path, Path]:
    """Make a recipient called `name` in `folder`, which must not hold one: (key, certificate).

    RSA of 4096 bits, which openssl, gpgsm and every old tool open; a certificate signed by itself
    for 20 years, because a backup is opened long after it was made.
    """
    private = rsa.generate_private_key(public_exponent=65537, key_size=_BITS)
    certificate = _certificate(private, name).public_bytes(serialization.Encoding.PEM)
    key = private.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(passphrase),
    )
    folder.mkdir(parents=True, exist_ok=True)
    _create(folder / KEY_NAME, key + certificate, 0o600)
    _create(folder / CERTIFICATE_NAME, certificate, 0o644)
    sync_folder(folder)
    return folder / KEY_NAME, folder / CERTIFICATE_NAME


def load_key(path: Path, passphrase: Callable[[], bytes]) -> Key:
    """Read a private key (PEM). `passphrase` is only called if the key is encrypted.

    Raises ConfigurationError for a file that is no key, NightdropError for a wrong passphrase.
    """
    try:
        pem = path.read_bytes()
    except OSError as error:
        raise ConfigurationError(f"{path}: cannot read this key: {error.strerror}") from error
    try:
        private: object = serialization.load_pem_private_key(pem, None)
    except TypeError:
        private = _unlock(path, pem, passphrase())
    except ValueError as error:
        raise ConfigurationError(f"{path}: this is no private key in PEM") from error
    if not isinstance(private, rsa.RSAPrivateKey):
        raise ConfigurationError(f"{path}: this is no RSA key")
    return Key(private, _ids(pem, path))


def ask_passphrase(path: Path, file: Path | None) -> Callable[[], bytes]:
    """How to get the passphrase of the key at `path`: from the first line of `file`, or a prompt."""

    def ask() -> bytes:
        if file is not None:
            try:
                return file.read_bytes().split(b"\n")[0].rstrip(b"\r")
            except OSError as error:
                raise ConfigurationError(
                    f"{file}: cannot read the passphrase: {error.strerror}"
                ) from error
        if not sys.stdin.isatty():
            raise UsageError(
                f"the key {path} needs its passphrase, and there is no terminal to ask for it",
                "give it with --passphrase-file FILE",
            )
        return getpass.getpass(f"passphrase of {path}: ").encode()

    return ask


def _unlock(path: Path, pem: bytes, passphrase: bytes) -> object:
    try:
        return serialization.load_pem_private_key(pem, passphrase)
    except ValueError as error:
        raise NightdropError(
            f"the passphrase does not open the key {path}", "nothing was decrypted; try again"
        ) from error


def _ids(pem: bytes, path: Path) -> frozenset[RecipientId]:
    _, mark, certificates = pem.partition(b"-----BEGIN CERTIFICATE-----")
    if not mark:
        return frozenset()
    recipients = parse_recipients(mark + certificates, str(path))
    return frozenset(identifier for recipient in recipients for identifier in recipient.ids)


def _certificate(private: rsa.RSAPrivateKey, name: str) -> x509.Certificate:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    public = private.public_key()
    # An hour back: the first machine that uses it may have a clock that is a little behind.
    start = datetime.datetime.now(datetime.UTC).replace(microsecond=0) - datetime.timedelta(hours=1)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(start + datetime.timedelta(days=_YEARS * 365.25))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        .sign(private, hashes.SHA256())
    )


def _key_usage() -> x509.KeyUsage:
    """What gpgsm and openssl want to see in a certificate one encrypts to."""
    return x509.KeyUsage(
        digital_signature=False,
        content_commitment=False,
        key_encipherment=True,
        data_encipherment=True,
        key_agreement=False,
        key_cert_sign=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )


def _create(path: Path, octets: bytes, mode: int) -> None:
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    except FileExistsError as error:
        raise UsageError(f"{path} exists", "a key is never overwritten; name another folder") from error
    with os.fdopen(descriptor, "wb") as file:
        file.write(octets)
        file.flush()
        os.fsync(descriptor)
