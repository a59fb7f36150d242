"""What sealing writes: looked at by another parser, and for what must never happen twice."""

import io
import os
import random
import tracemalloc
from collections import Counter
from typing import ClassVar

import pytest
from asn1crypto import cms, core

from core.keyring import CIPHERS, holders, seal, seal_pieces
from nightdrop.envelope import sealing
from nightdrop.envelope.algorithms import GCM_LIMIT, CipherName
from nightdrop.envelope.ber import BerReader
from nightdrop.envelope.header import read_header, read_tail
from nightdrop.envelope.sealing import SEGMENT, Octets, Sealer
from nightdrop.errors import EnvelopeError

ALICE, BOB, CAROL = holders()


def recipient_info(info: cms.RecipientInfo) -> tuple[str, int, str, int]:
    """What asn1crypto makes of a RecipientInfo: issuer, serial, algorithm, length of the key."""
    assert info.name == "ktri"
    fields = info.chosen
    assert fields["version"].native == "v0"
    rid = fields["rid"].chosen
    algorithm = fields["key_encryption_algorithm"]
    assert algorithm["parameters"].native is None
    return (
        rid["issuer"].human_friendly,
        rid["serial_number"].native,
        algorithm["algorithm"].native,
        len(fields["encrypted_key"].native),
    )


class AuthEnvelopedData(core.Sequence):  # type: ignore[misc]
    """RFC 5083, 2.1; asn1crypto itself does not know it."""

    _fields: ClassVar = [
        ("version", cms.CMSVersion),
        ("originator_info", cms.OriginatorInfo, {"implicit": 0, "optional": True}),
        ("recipient_infos", cms.RecipientInfos),
        ("encrypted_content_info", cms.EncryptedContentInfo),
        ("auth_attrs", cms.CMSAttributes, {"implicit": 1, "optional": True}),
        ("mac", core.OctetString),
        ("unprotected_attrs", cms.CMSAttributes, {"implicit": 2, "optional": True}),
    ]


class AuthContentInfo(core.Sequence):  # type: ignore[misc]
    """RFC 5652, 3, with RFC 5083's content."""

    _fields: ClassVar = [
        ("content_type", core.ObjectIdentifier),
        ("content", AuthEnvelopedData, {"explicit": 0}),
    ]


@pytest.mark.parametrize("cipher", CIPHERS)
@pytest.mark.parametrize("size", [0, 15, 16, 17, 700_000])
def test_another_parser_reads_it(cipher: CipherName, size: int) -> None:
    gcm = cipher == "aes-256-gcm"
    envelope = seal(bytes(size), [ALICE, BOB], cipher, compress=False)
    kind = AuthContentInfo if gcm else cms.ContentInfo
    info = kind.load(envelope, strict=True)
    assert info["content_type"].dotted == (
        "1.2.840.113549.1.9.16.1.23" if gcm else "1.2.840.113549.1.7.3"
    )
    data = info["content"]
    assert data["version"].native == "v0"
    assert data["originator_info"].native is None
    assert data["unprotected_attrs"].native is None
    assert {recipient_info(one) for one in data["recipient_infos"]} == {
        (f"Common Name: {name}", holder.certificate.serial_number, "rsaes_pkcs1v15", 256)
        for name, holder in (("alice", ALICE), ("bob", BOB))
    }
    content = data["encrypted_content_info"]
    assert content["content_type"].native == "data"
    algorithm = content["content_encryption_algorithm"]
    parameters = algorithm["parameters"].native
    ciphertext = content["encrypted_content"].native
    if gcm:
        assert algorithm["algorithm"].dotted == "2.16.840.1.101.3.4.1.46"
        assert len(parameters["0"]) == 12
        assert parameters["1"] == len(data["mac"].native) == 16
        assert data["auth_attrs"].native is None
        assert len(ciphertext) == size
    else:
        assert algorithm["algorithm"].dotted == "2.16.840.1.101.3.4.1.42"
        assert len(parameters) == 16
        assert len(ciphertext) == (size // 16 + 1) * 16


def test_the_recipients_stand_in_the_order_of_der() -> None:
    """A SET OF is sorted by its elements' encodings (X.690, 11.6), whoever is named first."""
    for to in ([ALICE, BOB, CAROL], [CAROL, BOB, ALICE]):
        reader = BerReader(io.BytesIO(seal(b"", to)).read)
        names = [str(transport.recipient)[:8] for transport in read_header(reader).entries]
        assert sorted(names) == ["CN=alice", "CN=bob, ", "CN=carol"]
        info = cms.ContentInfo.load(seal(b"", to, "aes-256-cbc"))
        encodings = [one.dump() for one in info["content"]["recipient_infos"]]
        assert encodings == sorted(encodings)


@pytest.mark.parametrize("cipher", CIPHERS)
@pytest.mark.parametrize("compress", [True, False])
@pytest.mark.parametrize("size", [0, 1, SEGMENT - 1, SEGMENT, SEGMENT + 1, 3 * SEGMENT + 5])
def test_segments_are_as_long_as_the_document_says(cipher: CipherName, compress: bool, size: int) -> None:
    """SEGMENT octets each, but for the last one, and with CBC the last two; none is empty."""
    envelope = seal(random.Random(7).randbytes(size), [ALICE], cipher, compress)
    reader = BerReader(io.BytesIO(envelope).read)
    header = read_header(reader)
    at = reader.position
    assert envelope[at : at + 2] == b"\xa0\x80"
    at += 2
    lengths = []
    while envelope[at : at + 2] != b"\0\0":
        head = BerReader(io.BytesIO(envelope[at : at + 9]).read)
        tag, length = head.header()
        assert tag == 0x04
        assert length is not None
        lengths.append(length)
        at += head.position + length
    assert set(lengths[: -1 if cipher == "aes-256-gcm" else -2]) <= {SEGMENT}
    assert all(0 < length <= SEGMENT for length in lengths)
    assert len(b"".join(reader.octet_string(0))) == sum(lengths)
    assert len(read_tail(reader, header)) == (16 if cipher == "aes-256-gcm" else 0)
    assert reader.peek(1) == b""


@pytest.mark.parametrize("cipher", CIPHERS)
def test_how_the_input_was_cut_does_not_show(cipher: CipherName) -> None:
    plain = bytes(range(256)) * 4000
    for compress in (True, False):
        sizes = {
            len(
                seal_pieces(
                    [plain[at : at + n] for at in range(0, len(plain), n)], [ALICE], cipher, compress
                )
            )
            for n in (1000, 65_536, SEGMENT, len(plain))
        }
        assert len(sizes) == 1


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """Everything that is drawn from the system's random numbers, in order."""
    found: list[bytes] = []
    draw = os.urandom

    def remember(octets: int) -> bytes:
        found.append(draw(octets))
        return found[-1]

    monkeypatch.setattr(os, "urandom", remember)
    return found


@pytest.mark.parametrize("cipher", CIPHERS)
def test_keys_and_nonces_are_never_used_twice(cipher: CipherName, drawn: list[bytes]) -> None:
    """Over many seals each key and each nonce is drawn anew, and of the right length."""
    nonces = set()
    for _ in range(500):
        reader = BerReader(io.BytesIO(seal(b"the same each time", [ALICE], cipher)).read)
        nonces.add(read_header(reader).nonce)
    nonce = 12 if cipher == "aes-256-gcm" else 16
    assert len(nonces) == 500
    assert Counter(map(len, drawn)) == {32: 500, nonce: 500}
    assert len(set(drawn)) == 1000
    assert nonces <= set(drawn)


def test_no_key_can_be_found_in_an_envelope(drawn: list[bytes]) -> None:
    envelope = seal(b"content", [ALICE, BOB])
    key, nonce = drawn
    assert key not in envelope
    assert nonce in envelope


def test_a_gcm_message_stops_at_its_limit_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    assert GCM_LIMIT == 2**36 - 32
    monkeypatch.setattr(sealing, "GCM_LIMIT", 600_000)
    assert seal(bytes(600_000), [ALICE], compress=False)
    with pytest.raises(EnvelopeError, match="AES-GCM message holds at most 600000 octets") as caught:
        seal(bytes(600_001), [ALICE], compress=False)
    assert "aes-256-cbc" in caught.value.hint
    assert seal(bytes(600_001), [ALICE], "aes-256-cbc", compress=False)
    # What counts is what is encrypted, not what went in.
    assert seal(bytes(6_000_000), [ALICE], compress=True)


def test_an_envelope_needs_a_recipient() -> None:
    with pytest.raises(EnvelopeError, match="needs a recipient"):
        Sealer(bytearray().extend, [])


def test_the_head_is_written_at_once() -> None:
    """So that a recipient without a usable key is told before hours of reading."""
    out = bytearray()
    sealer = Sealer(out.extend, [ALICE.recipient])
    assert out.startswith(b"\x30\x80")
    assert len(out) > 300
    sealer.finish()


@pytest.mark.parametrize("compress", [True, False])
def test_memory_does_not_grow_with_the_stream(compress: bool) -> None:
    written = 0

    def count(octets: Octets) -> None:
        nonlocal written
        written += len(octets)

    sealer = Sealer(count, [ALICE.recipient], compress=compress)
    chance = random.Random(7)
    tracemalloc.start()
    try:
        for _ in range(40):
            sealer.update(chance.randbytes(1 << 20))
        sealer.finish()
        assert tracemalloc.get_traced_memory()[1] < 8 << 20
    finally:
        tracemalloc.stop()
    assert written > 40 << 20
