"""Other tools also write PEM and S/MIME into a vault: envelopes all the same, whole or cut off."""

import base64
from collections.abc import Callable

import pytest

from check.vaults import DAY, NIGHT, Mirror, Shelves, random_octets, seal
from nightdrop.envelope import der

HOST = "router"
NAME = "mtd-full.20260301T023000Z.img.p7m"
SMIME = (
    b"MIME-Version: 1.0\nContent-Type: application/x-pkcs7-mime\nContent-Transfer-Encoding: base64\n\n"
)


def lines(ber: bytes, width: int = 48) -> bytes:
    return b"".join(base64.b64encode(ber[at : at + width]) + b"\n" for at in range(0, len(ber), width))


def smime(ber: bytes) -> bytes:
    return SMIME + lines(ber)


def pem(ber: bytes) -> bytes:
    return b"-----BEGIN PKCS7-----\n" + lines(ber) + b"-----END PKCS7-----\n"


def uneven(ber: bytes) -> bytes:
    return b"-----BEGIN PKCS7-----\n" + lines(ber, 30_000) + b"-----END PKCS7-----\n"


def definite(envelope: bytes) -> bytes:
    """The message with its length at its beginning: what openssl writes without -stream."""
    return der.element(der.SEQUENCE, envelope[2:-2])


def verdicts(mirror: Mirror, octets: bytes) -> list[str]:
    """What the check says of what is in this one file."""
    mirror.enroll(HOST, kind="shell")
    mirror.drop(HOST, NAME, octets, NIGHT)
    told = ("truncated", "not-encrypted", "could-not-look", "wrong-recipient", "corrupt")
    found = Shelves(mirror.config, HOST, NIGHT.timestamp() + DAY).check().findings
    return [finding.code for finding in found if finding.code in told]


@pytest.mark.parametrize("form", [smime, pem, uneven, bytes])
@pytest.mark.parametrize("cut", [0, 60, 20_000])
def test_every_form_is_seen_to_be_whole_or_not(
    mirror: Mirror, form: Callable[[bytes], bytes], cut: int
) -> None:
    octets = form(seal(random_octets("image", 60_000), mirror.recipients)).rstrip()
    assert verdicts(mirror, octets[: len(octets) - cut]) == (["truncated"] if cut else [])


def test_a_form_does_not_hide_for_whom_it_is(mirror: Mirror, stranger: bytes) -> None:
    theirs = type(mirror)(mirror.folder / "theirs", stranger).recipients
    assert verdicts(mirror, pem(seal(b"x", theirs))) == ["wrong-recipient"]


def test_what_cannot_be_told_is_not_fine(mirror: Mirror) -> None:
    octets = uneven(definite(seal(random_octets("image", 60_000), mirror.recipients)))
    assert verdicts(mirror, octets) == ["could-not-look"]


def test_text_that_is_no_envelope_is_not_encrypted(mirror: Mirror) -> None:
    assert verdicts(mirror, pem(b"root:x:0:0:root:/root:/bin/sh\n" * 99)) == ["not-encrypted"]
