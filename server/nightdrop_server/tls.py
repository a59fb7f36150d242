"""The certificate that a mirror makes for itself, which enrolment hands to hosts to pin.

It is its own authority and good for 20 years: nobody else vouches for it, so nothing has to be renewed.
Made so that strict verifiers take it both as trust anchor and as the server's own (RFC 5280).
"""

import datetime
import ipaddress
import os
import ssl
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from nightdrop.errors import ConfigurationError
from nightdrop.mirror import Mirror
from nightdrop_server.files import write_private

_YEARS = 20
_YEARS_BACK = 10
_MAX_COMMON_NAME = 64


def ensure_certificate(mirror: Mirror) -> None:
    """Make the mirror's key and certificate unless they are there; ConfigurationError if the ones that
    are there are not for the host in `mirror.url`.
    """
    if not mirror.tls and not mirror.administration_tls:
        return
    if not mirror.certificate.exists() and not mirror.key.exists():
        key_pem, certificate_pem = make_certificate(mirror)
        write_private(mirror.key, key_pem)
        write_private(mirror.certificate, certificate_pem)
    certificate = _load(mirror)
    host = _general_name(_url_host(mirror))
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    if host not in names:
        known = ", ".join(dict.fromkeys(str(name.value) for name in names))
        raise ConfigurationError(
            f"{mirror.certificate}: the certificate is for {known}, not for {host.value}, "
            f"which `url` in {mirror.path} says",
            "correct `url`; or delete tls.crt and tls.key and enrol every host again with --again",
        )


def server_context(mirror: Mirror) -> ssl.SSLContext:
    """The TLS settings of the door: TLS 1.2 or later, our certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(mirror.certificate, mirror.key)
    except (OSError, ssl.SSLError) as error:
        raise ConfigurationError(
            f"cannot use {mirror.certificate} with {mirror.key}: {error.strerror or error}",
            "both have to be there and belong together; without either, `nightdrop serve` makes new ones",
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


def _load(mirror: Mirror) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificate(mirror.certificate.read_bytes())
    except (OSError, ValueError) as error:
        reason = os.strerror(error.errno) if isinstance(error, OSError) and error.errno else str(error)
        raise ConfigurationError(
            f"{mirror.certificate}: cannot read the certificate: {reason}"
        ) from error


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
