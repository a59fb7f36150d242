"""Recipients: the certificates one seals to, and the ways an envelope may name them (RFC 5652, 6.2)."""

import hashlib
import re
from binascii import Error as Base64Error
from binascii import a2b_base64
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from nightdrop.envelope import der
from nightdrop.errors import ConfigurationError, EnvelopeError
from nightdrop.files import read_short
from nightdrop.text import harmless

_CERTIFICATE = re.compile(rb"-----BEGIN CERTIFICATE-----(.*?)-----END CERTIFICATE-----", re.DOTALL)
_PRIVATE_KEY = re.compile(rb"-----BEGIN [A-Z ]*PRIVATE KEY-----")


@dataclass(frozen=True)
class RecipientId:
    """How an envelope names a recipient: by `issuer` (DER) and `serial`, or by subject key
    identifier (`key_id`). The fields of the other way are empty.
    """

    issuer: bytes = b""
    serial: int = 0
    key_id: bytes = b""

    def __str__(self) -> str:
        if self.key_id:
            return f"key {self.key_id.hex()}"
        return f"{_name_text(self.issuer)}, serial {self.serial:x}"


@dataclass(frozen=True)
class Recipient:
    """A certificate one seals to, as DER. Its private key can open what is sealed to it."""

    certificate: bytes

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of the certificate, in hex."""
        return hashlib.sha256(self.certificate).hexdigest()

    @property
    def name(self) -> str:
        """The subject's name, for people."""
        return _name_text(self._fields[2])

    @property
    def issuer_and_serial(self) -> tuple[bytes, bytes]:
        """The issuer's name and the serial number, the very octets of the certificate."""
        return self._fields[1], self._fields[0]

    @property
    def by_issuer(self) -> RecipientId:
        """The name by issuer and serial number."""
        serial = int.from_bytes(der.contents(self._fields[0], der.INTEGER), signed=True)
        return RecipientId(self._fields[1], serial)

    @cached_property
    def key_id(self) -> bytes:
        """The subject key identifier (RFC 5280, 4.2.1.2), empty if the certificate has none."""
        from cryptography import x509

        try:
            extensions = x509.load_der_x509_certificate(self.certificate).extensions
            return extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest
        except x509.ExtensionNotFound:
            return b""
        except ValueError as error:
            raise ConfigurationError(f"the certificate of {self.name} cannot be read") from error

    @property
    def ids(self) -> frozenset[RecipientId]:
        """Every way in which an envelope may name this recipient."""
        by_key_id = [RecipientId(key_id=self.key_id)] if self.key_id else []
        return frozenset((self.by_issuer, *by_key_id))

    @property
    def pem(self) -> str:
        """The certificate as PEM."""
        return der.pem("CERTIFICATE", self.certificate)

    @property
    def public_key(self) -> bytes:
        """The SubjectPublicKeyInfo, as DER."""
        return self._fields[3]

    @cached_property
    def _fields(self) -> tuple[bytes, bytes, bytes, bytes]:
        """Serial number, issuer, subject and public key (RFC 5280, 4.1), the very octets."""
        to_be_signed = der.children(der.contents(self.certificate, der.SEQUENCE))[0]
        fields = der.children(der.contents(to_be_signed, der.SEQUENCE))
        if fields[0][0] == 0xA0:
            del fields[0]
        serial, _signature, issuer, _validity, subject, public_key = fields[:6]
        return serial, issuer, subject, public_key


def parse_recipients(text: bytes, origin: str) -> list[Recipient]:
    """The recipients in a PEM text; `origin` says where it came from, for the error.

    Raises ConfigurationError if there is none, if one cannot be read, or if a private key is there,
    too: that one belongs offline and is never taken along by accident.
    """
    if _PRIVATE_KEY.search(text):
        raise ConfigurationError(
            f"{origin}: there is a private key in this file of recipients",
            "take it away, and trust no more to a key that was here; only the certificate belongs here",
        )
    recipients = []
    for body in _CERTIFICATE.findall(text):
        try:
            recipient = Recipient(a2b_base64(body))
            _ = recipient.by_issuer
        except (Base64Error, EnvelopeError, ValueError, IndexError) as error:
            raise ConfigurationError(f"{origin}: a certificate here cannot be read") from error
        recipients.append(recipient)
    if not recipients:
        raise ConfigurationError(
            f"{origin}: there is no certificate here",
            "a recipient is a certificate in PEM, as `nightdrop key new` makes it",
        )
    return recipients


def load_recipients(path: Path) -> list[Recipient]:
    """The recipients in a PEM file; ConfigurationError as in `parse_recipients`."""
    try:
        return parse_recipients(read_short(path), str(path))
    except OSError as error:
        raise ConfigurationError(f"{path}: cannot read this recipient: {error.strerror}") from error


def _name_text(name: bytes) -> str:
    """A distinguished name for people (RFC 4514), harmless on a terminal."""
    from asn1crypto.x509 import Name

    try:
        # asn1crypto gives the most telling attribute first, which is how people look for a name.
        text = ", ".join(f"{_short(k)}={v}" for k, v in Name.load(name).native.items())
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError):
        text = f"name {name[:24].hex()}"
    return harmless(text, 120)


def _short(attribute: str) -> str:
    known = {"common_name": "CN", "organization_name": "O", "organizational_unit_name": "OU"}
    return known.get(attribute, attribute)
