"""The certificate that a mirror makes for itself, which enrolment hands to hosts to pin.

It is its own authority and good for 20 years: nobody else vouches for it, so nothing has to be renewed.
Made so that strict verifiers take it both as trust anchor and as the server's own (RFC 5280).
"""

import datetime
import ipaddress
import ssl
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes, PrivateKeyTypes
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from nightdrop.errors import ConfigurationError
from nightdrop.mirror import Mirror
from nightdrop_server.files import write_private

ANEW: Final = (
    "take tls.crt and tls.key out of the state, start the door, which makes new ones, and enrol every "
    "host with --again"
)
"""What to do where a certificate cannot be had back."""

_YEARS = 20
_YEARS_BACK = 10
_MAX_COMMON_NAME = 64


def ensure_certificate(mirror: Mirror) -> None:
    """Make the mirror's key and certificate unless they are there; ConfigurationError if the ones that
    are there do not belong together, or are not for the host in `mirror.url`.
    """
    if not mirror.tls and not mirror.administration_tls:
        return
    if not mirror.certificate.exists() and not mirror.key.exists():
        key_pem, certificate_pem = make_certificate(mirror)
        write_private(mirror.key, key_pem)
        write_private(mirror.certificate, certificate_pem)
    certificate, key = load_certificate(mirror), _load_key(mirror)
    if _public_key(mirror, certificate) != key.public_key():
        raise ConfigurationError(
            f"{mirror.key} is not the key of the certificate {mirror.certificate}",
            f"put back the one that belongs to the other; or {ANEW}",
        )
    host = _general_name(_url_host(mirror))
    names = _names(certificate)
    if host not in names:
        known = ", ".join(dict.fromkeys(str(name.value) for name in names)) or "no host"
        raise ConfigurationError(
            f"{mirror.certificate}: the certificate is for {known}, not for {host.value}, "
            f"which `url` in {mirror.path} says",
            f"correct `url`; or {ANEW}",
        )


def expired(certificate: x509.Certificate) -> bool:
    """Whether hosts refuse it for its age."""
    return certificate.not_valid_after_utc < datetime.datetime.now(datetime.UTC)


def server_context(mirror: Mirror) -> ssl.SSLContext:
    """The TLS settings of the door: TLS 1.2 or later, our certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    # OpenSSL also agrees on keys by finite fields of up to 8192 bits. A stranger who asks for that, with
    # octets that cost nothing to make up, costs us seventy handshakes. On this curve everybody can.
    context.set_ecdh_curve("prime256v1")
    # OpenSSL before 3.0 would shake hands anew as often as a client likes.
    context.options |= ssl.OP_NO_RENEGOTIATION
    try:
        context.load_cert_chain(mirror.certificate, mirror.key)
    except (OSError, ssl.SSLError) as error:
        raise ConfigurationError(
            f"cannot use {mirror.certificate} with {mirror.key}: {error.strerror or error}",
            ANEW,
        ) from error
    return context


def make_certificate(mirror: Mirror) -> tuple[bytes, bytes]:
    """A new P-256 key and a certificate for it, for the host in `mirror.url` and the addresses that we
    listen on, if they are particular ones; both PEM.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, mirror.name[:_MAX_COMMON_NAME])])
    names = dict.fromkeys([_general_name(_url_host(mirror)), *_listen_names(mirror)])
    # An address as a name, too: mbedTLS before 3, which curl on many a router has, looks only at those.
    names |= dict.fromkeys(x509.DNSName(str(name.value)) for name in tuple(names))
    now, year = datetime.datetime.now(datetime.UTC), datetime.timedelta(days=365.25)
    # Years back: a host whose clock stands where it was made can still drop. The pin is what it goes by,
    # and the check tells of its clock.
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _YEARS_BACK * year)
        .not_valid_after(now + _YEARS * year)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(identifier, critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier), critical=False
        )
    )
    certificate = builder.sign(key, hashes.SHA256())
    key_pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return key_pem, certificate.public_bytes(serialization.Encoding.PEM)


def _key_usage() -> x509.KeyUsage:
    # key_cert_sign because it vouches for itself: OpenSSL 1.1 does not take it for self-signed without.
    return x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )


def load_certificate(mirror: Mirror) -> x509.Certificate:
    """The mirror's certificate; ConfigurationError if it cannot be read."""
    octets = _read(mirror.certificate, mirror.key)
    try:
        return x509.load_pem_x509_certificate(octets)
    except ValueError as error:
        raise ConfigurationError(
            f"{mirror.certificate}: this is no certificate in PEM", f"put back the right one; or {ANEW}"
        ) from error


def _public_key(mirror: Mirror, certificate: x509.Certificate) -> CertificatePublicKeyTypes:
    try:
        return certificate.public_key()
    except (ValueError, UnsupportedAlgorithm) as error:
        raise ConfigurationError(
            f"{mirror.certificate}: the key of this certificate is of no kind that is known here",
            f"put back the right one; or {ANEW}",
        ) from error


def _load_key(mirror: Mirror) -> PrivateKeyTypes:
    octets = _read(mirror.key, mirror.certificate)
    try:
        return serialization.load_pem_private_key(octets, None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        # TypeError is how it asks for a passphrase.
        raise ConfigurationError(
            f"{mirror.key}: this is no private key in PEM without a passphrase",
            f"put back the right one; or {ANEW}",
        ) from error


def _read(path: Path, other: Path) -> bytes:
    """A file of the pair that is there, or of which the other one is."""
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        raise ConfigurationError(
            f"there is no {path}, though there is {other}", f"put it back; or {ANEW}"
        ) from error
    except OSError as error:
        raise ConfigurationError(
            f"{path}: cannot be read: {error.strerror}", "it belongs to whom `nightdrop serve` runs as"
        ) from error


def _names(certificate: x509.Certificate) -> x509.SubjectAlternativeName:
    """The hosts that it is for."""
    try:
        return certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, ValueError):
        return x509.SubjectAlternativeName([])


def _url_host(mirror: Mirror) -> str:
    return urlsplit(mirror.url).hostname or ""


def _listen_names(mirror: Mirror) -> list[x509.GeneralName]:
    """The addresses that the door and the administrator's listener are on, but for every address."""
    names: list[x509.GeneralName] = []
    for listen in (mirror.listen, mirror.administration):
        if listen is not None:
            name = _general_name(listen.address)
            if isinstance(name, x509.DNSName) or not name.value.is_unspecified:
                names.append(name)
    return names


def _general_name(host: str) -> x509.DNSName | x509.IPAddress:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host.encode("idna").decode())
