"""Recipients: what a certificate has to be for one to seal to it, and what stands for it in envelopes."""

from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from certificates import PrivateKey, make_certificate
from core.keyring import holders, seal
from nightdrop.envelope import der
from nightdrop.envelope.recipients import Recipient, RecipientId, load_recipients, parse_recipients
from nightdrop.envelope.sealing import Sealer
from nightdrop.errors import ConfigurationError, ExitStatus

ALICE, BOB, CAROL = holders()


def recipient(private: PrivateKey, name: str = "odd", serial: int = 5) -> Recipient:
    return Recipient(make_certificate(private, name, serial=serial).public_bytes(Encoding.DER))


def test_a_certificate_is_read_as_x509_reads_it() -> None:
    pem = b"Bag Attributes\n" + ALICE.certificate_pem + b"and more\n" + BOB.certificate_pem
    alice, bob = parse_recipients(pem, "test")
    assert (alice.name, bob.name) == ("CN=alice", "CN=bob")
    assert alice.fingerprint == ALICE.certificate.fingerprint(hashes.SHA256()).hex()
    assert alice.pem.encode() == ALICE.certificate_pem
    issuer = ALICE.certificate.issuer.public_bytes()
    assert alice.by_issuer == RecipientId(issuer, ALICE.certificate.serial_number)
    key_id = ALICE.certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier)
    assert alice.ids == {alice.by_issuer, RecipientId(key_id=key_id.value.digest)}


@pytest.mark.parametrize("serial", [1, 127, 128, 255, 256, 2**64, 2**159 - 1])
def test_serial_numbers_of_any_length(serial: int) -> None:
    odd = recipient(ALICE.private, serial=serial)
    assert odd.by_issuer.serial == serial
    assert str(odd.by_issuer) == f"CN=odd, serial {serial:x}"
    # Without an identifier of its key, that is the one way to name it.
    assert odd.ids == {odd.by_issuer}


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("Backup Ädmin", "CN=Backup Ädmin"),
        ("x\x1b[31m\n", "CN=x\\x1b[31m\\n"),
        ("a" * 64, f"CN={'a' * 64}"),
    ],
)
def test_names_are_told_harmlessly(name: str, told: str) -> None:
    assert recipient(ALICE.private, name).name == told


UNUSABLE: dict[str, PrivateKey] = {
    "another elliptic curve": ec.generate_private_key(ec.SECP256K1()),
    "Ed25519": ed25519.Ed25519PrivateKey.generate(),
    "RSA of 1024 bits": rsa.generate_private_key(public_exponent=65537, key_size=1024),
}


@pytest.mark.parametrize("kind", UNUSABLE)
def test_a_key_that_cannot_be_sealed_to_is_told_before_anything_is_read(kind: str) -> None:
    with pytest.raises(ConfigurationError, match="CN=odd has a key that cannot be sealed to"):
        Sealer(bytearray().extend, [ALICE.recipient, recipient(UNUSABLE[kind])])


@pytest.mark.parametrize(
    "key",
    [
        b"\x30\x00",
        der.element(0x30, der.element(0x30, der.oid("1.2.3.4")), b"\x03\x02\x00\x04"),
        der.element(0x30, der.element(0x30, der.oid("1.2.840.113549.1.1.1")), b"\x03\x02\x00\x04"),
        b"\x05\x00",
        rsa.RSAPublicNumbers(65537, 2**8999 + 1)
        .public_key()
        .public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
    ],
    ids=["empty", "unknown", "broken", "null", "RSA of 9,000 bits"],
)
def test_a_key_that_nobody_knows_is_told_the_same_way(key: bytes) -> None:
    with pytest.raises(ConfigurationError, match="CN=alice has a key that cannot be sealed to"):
        Sealer(bytearray().extend, [altered(6, key)])


@pytest.mark.parametrize("field", [2, 4, 6])
def test_a_certificate_that_only_looks_like_one_has_no_names_in_envelopes(field: int) -> None:
    with pytest.raises(ConfigurationError, match="the certificate of CN=alice cannot be read"):
        _ = altered(field, b"\x05\x00").ids


def altered(field: int, octets: bytes) -> Recipient:
    """alice's certificate with other octets for one field (RFC 5280, 4.1)."""
    to_be_signed, *rest = der.children(der.contents(ALICE.recipient.certificate, 0x30))
    fields = der.children(der.contents(to_be_signed, 0x30))
    fields[field] = octets
    return Recipient(der.element(0x30, der.element(0x30, *fields), *rest))


def test_a_private_key_among_recipients_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"x\.pem: there is a private key"):
        parse_recipients(ALICE.certificate_pem + ALICE.private_pem, "x.pem")


NO_CERTIFICATES = {
    "nothing": b"",
    "text": b"hello",
    "DER": ALICE.recipient.certificate,
    "half a PEM": ALICE.certificate_pem[:-30],
    "a request": b"-----BEGIN CERTIFICATE REQUEST-----\nMAA=\n-----END CERTIFICATE REQUEST-----\n",
}
DAMAGED = {
    "no base64": b"!",
    "nothing": b"",
    "an odd number of digits": b"MII",
    "an empty sequence": b"MAA=",
    "a sequence of empty sequences": b"MAQwADAA",
    "zeros": b"AAAA",
    "a certificate that is cut off": "".join(ALICE.recipient.pem.splitlines()[1:9]).encode(),
}


@pytest.mark.parametrize("why", NO_CERTIFICATES)
def test_a_file_without_a_certificate(why: str) -> None:
    with pytest.raises(ConfigurationError, match=r"x\.pem: there is no certificate here"):
        parse_recipients(NO_CERTIFICATES[why], "x.pem")


@pytest.mark.parametrize("why", DAMAGED)
def test_a_certificate_that_cannot_be_read(why: str) -> None:
    pem = b"-----BEGIN CERTIFICATE-----\n" + DAMAGED[why] + b"\n-----END CERTIFICATE-----\n"
    with pytest.raises(ConfigurationError, match=r"x\.pem: a certificate here cannot be read"):
        parse_recipients(ALICE.certificate_pem + pem, "x.pem")


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="cannot read this recipient: No such file") as caught:
        load_recipients(tmp_path / "none.pem")
    assert caught.value.exit_status == ExitStatus.USAGE
    with pytest.raises(ConfigurationError, match="cannot read this recipient: Is a directory"):
        load_recipients(tmp_path)


def test_two_certificates_of_one_key_are_two_recipients() -> None:
    old, new = recipient(CAROL.private, "carol 2020", 1), recipient(CAROL.private, "carol 2030", 2)
    assert old.ids.isdisjoint(new.ids)
    assert len(seal(b"", [CAROL])) < len(seal(b"", [CAROL, CAROL]))
