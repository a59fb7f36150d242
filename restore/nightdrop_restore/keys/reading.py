"""Reading private keys, with their passphrases."""

import argparse
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from nightdrop.envelope.public_keys import EC_SCHEMES
from nightdrop.envelope.recipients import RecipientId, parse_recipients
from nightdrop.errors import ConfigurationError, NightdropError, UsageError
from nightdrop.text import harmless
from nightdrop_restore.envelope.unwrapping import Key, PrivateKey
from nightdrop_restore.keys.prompting import ask_secret, can_ask

_CERTIFICATES: Final = re.compile(
    rb"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----\n?", re.DOTALL
)

_LONGEST: Final = 1 << 20
"""Octets of a key or a passphrase that are read: more than any has."""


def certificates_in(octets: bytes) -> list[bytes]:
    """The certificates (PEM) in a file that may have a private key in it, too."""
    return _CERTIFICATES.findall(octets)


def load_key(path: Path, passphrase: Callable[[], bytes]) -> Key:
    """Read a private key, at once: see `read_key`."""
    return read_key(path, passphrase)()


def read_key(path: Path, passphrase: Callable[[], bytes]) -> Callable[[], Key]:
    """Read a private key, PEM, DER (PKCS#8) or PKCS#12, and give what unlocks it: only that calls
    `passphrase`, and only if there is one.

    Raises ConfigurationError for a file that is no key, or of a kind that opens nothing; so does the
    unlocking, and NightdropError for a wrong passphrase.
    """
    try:
        with path.open("rb") as file:
            octets = file.read(_LONGEST)
    except OSError as error:
        raise ConfigurationError(f"{path}: cannot read this key: {error.strerror}") from error
    certificates = certificates_in(octets)
    try:
        private = _private(octets, None)
    except TypeError:
        return lambda: _usable(_unlocked(path, octets, passphrase()), certificates, path)
    except ValueError:
        _require_pkcs12(path, octets)
        return lambda: _usable(*_from_pkcs12(path, octets, passphrase), path)
    key = _usable(private, certificates, path)
    return lambda: key


def _usable(private: object, certificates: list[bytes], path: Path) -> Key:
    """The key, if it is of a kind that opens envelopes."""
    if not isinstance(private, PrivateKey) or (
        isinstance(private, ec.EllipticCurvePrivateKey) and private.curve.name not in EC_SCHEMES
    ):
        raise ConfigurationError(
            f"{path}: this is no key that opens envelopes",
            "what does: RSA, the elliptic curves P-256, P-384 and P-521, and X25519",
        )
    return Key(private, _ids(private, certificates, path))


def add_key_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the private key, and where its passphrase may come from."""
    parser.add_argument("--key", metavar="KEY.pem", type=Path, required=True, help="the private key")
    add_passphrase_arguments(parser)


def add_passphrase_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare where a passphrase may come from; never the command line, which everybody can read."""
    where = parser.add_mutually_exclusive_group()
    where.add_argument(
        "--passphrase-file", metavar="FILE", type=Path, help="read the passphrase from its first line"
    )
    where.add_argument(
        "--passphrase-fd", metavar="N", type=int, help="read it from this open file descriptor"
    )


def ask_passphrase(path: Path, arguments: argparse.Namespace) -> Callable[[], bytes]:
    """How to get the passphrase of the key at `path`: from a file, a descriptor or a prompt."""
    file: Path | int | None = arguments.passphrase_file
    if arguments.passphrase_fd is not None:
        file = arguments.passphrase_fd

    def ask() -> bytes:
        if file is not None:
            try:
                with open(file, "rb") as source:  # noqa: PTH123 - Path.open knows no descriptors
                    return source.readline(_LONGEST).rstrip(b"\r\n")
            except (OSError, ValueError, OverflowError) as error:
                where = f"descriptor {file}" if isinstance(file, int) else str(file)
                why = getattr(error, "strerror", "") or "there is no such descriptor"
                raise ConfigurationError(
                    f"{where}: cannot read the passphrase: {why}",
                    "name one that can be read, or none to be asked",
                ) from error
        if not can_ask():
            raise UsageError(
                f"the key {path} needs its passphrase, and there is no terminal to ask for it",
                "give it with --passphrase-file FILE or --passphrase-fd N",
            )
        return ask_secret(f"passphrase of {harmless(str(path), 1000)}: ").encode()

    return ask


def _private(octets: bytes, passphrase: bytes | None) -> object:
    """The private key; None for one of a kind that `cryptography` does not know."""
    load = serialization.load_der_private_key
    if b"-----BEGIN " in octets:
        load = serialization.load_pem_private_key
    # Proving that the primes of an RSA key are prime takes half a second, eight with 8192 bits. It would
    # defend against a key that somebody else chose; this one is ours.
    try:
        return load(octets, passphrase, unsafe_skip_rsa_key_validation=True)
    except UnsupportedAlgorithm:
        return None


def _unlocked(path: Path, octets: bytes, passphrase: bytes) -> object:
    with _needing_the_right_passphrase(path):
        return _private(octets, passphrase)


def _require_pkcs12(path: Path, octets: bytes) -> None:
    # It is a sequence whose first element is version 3.
    if not octets.startswith(b"\x30") or b"\x02\x01\x03" not in octets[:9]:
        raise ConfigurationError(
            f"{path}: this is no private key", "what is: PEM, PKCS#8 in DER, and PKCS#12"
        )


def _from_pkcs12(
    path: Path, octets: bytes, passphrase: Callable[[], bytes]
) -> tuple[object, list[bytes]]:
    """Private key and certificate (PEM) out of a PKCS#12 file (RFC 7292)."""
    # 0.03 s that only such a key has to wait for.
    from cryptography.hazmat.primitives.serialization import pkcs12

    try:
        try:
            store = pkcs12.load_pkcs12(octets, None)
        except ValueError:
            with _needing_the_right_passphrase(path):
                store = pkcs12.load_pkcs12(octets, passphrase())
    except UnsupportedAlgorithm:
        return None, []
    if store.cert is None:
        return store.key, []
    return store.key, [store.cert.certificate.public_bytes(serialization.Encoding.PEM)]


@contextmanager
def _needing_the_right_passphrase(path: Path) -> Iterator[None]:
    try:
        yield
    # TypeError where it is empty, which cryptography takes for none.
    except (ValueError, TypeError) as error:
        raise NightdropError(
            f"the passphrase does not open the key {path}", "nothing was decrypted; try again"
        ) from error


def _ids(private: PrivateKey, certificates: list[bytes], path: Path) -> frozenset[RecipientId]:
    """How envelopes name the key: by those of the certificates beside it that are its own."""
    if not certificates:
        return frozenset()
    public = private.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    recipients = parse_recipients(b"".join(certificates), str(path))
    own = [recipient for recipient in recipients if recipient.public_key == public]
    if not own:
        raise ConfigurationError(
            f"{path}: the certificate in this file does not belong to the key in it",
            "take the certificate out, or put the right one in",
        )
    return frozenset(identifier for recipient in own for identifier in recipient.ids)
