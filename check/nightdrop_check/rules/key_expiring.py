"""`key-expiring`: a recipient's certificate, or the door's, is no longer valid soon."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from cryptography import x509

from nightdrop.envelope.recipients import load_recipients
from nightdrop.errors import ConfigurationError
from nightdrop_check.findings import Finding
from nightdrop_check.view import House
from nightdrop_check.words import ago, span

_SOON: Final = 60 * 86400


def judge(house: House) -> Iterator[Finding]:
    """Every certificate of `mirror.toml`, and the door's."""
    for path in house.mirror.recipients:
        for certificate in _recipients(path):
            yield from _judge(
                house,
                certificate,
                f"the certificate of the recipient {certificate.subject.rfc4514_string()}",
                "envelopes still open; gpgsm refuses to seal to it: make a new key with "
                "`nightdrop key new`, add its certificate to `recipients`, and give hosts new bundles",
            )
    if house.mirror.tls and house.mirror.certificate.exists():
        certificate = x509.load_pem_x509_certificate(house.mirror.certificate.read_bytes())
        yield from _judge(
            house,
            certificate,
            "this mirror's TLS certificate",
            "hosts are pinned to it: replace it together with their bundles",
        )


def _recipients(path: Path) -> list[x509.Certificate]:
    try:
        return [x509.load_der_x509_certificate(r.certificate) for r in load_recipients(path)]
    except (ConfigurationError, ValueError):
        return []  # told as could-not-look


def _judge(house: House, certificate: x509.Certificate, what: str, hint: str) -> Iterator[Finding]:
    expires = certificate.not_valid_after_utc.timestamp()
    left = expires - house.now
    if left > _SOON:
        return
    when = f"expired {ago(-left)}" if left < 0 else f"expires in {span(left)}"
    yield Finding(
        "key-expiring",
        "error" if left < 0 else "warning",
        "",
        certificate.subject.rfc4514_string(),
        f"{what} {when}",
        hint,
        {"expires": expires},
    )
