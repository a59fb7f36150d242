"""Opening what was cut off or altered: it is refused, or what was altered does not matter."""

import io
import random
from collections.abc import Sequence

import pytest

from core.keyring import CIPHERS, holders, opened, seal
from core.messages import Encode, compose, nested, primitive, segmented
from nightdrop.envelope import der
from nightdrop.envelope.algorithms import CIPHERS as KNOWN
from nightdrop.envelope.algorithms import CipherName
from nightdrop.envelope.ber import BerReader
from nightdrop.envelope.header import read_header
from nightdrop.envelope.sealing import SEGMENT
from nightdrop.errors import EnvelopeError
from nightdrop_restore.envelope.opening import open_envelope

ALICE, BOB, _ = holders()
NOISE = random.Random(1).randbytes(3 * SEGMENT + 4321)


def sizes_of_cuts(envelope: bytes) -> list[int]:
    """Every length of a small message; of a larger one those around its joints and some between."""
    if len(envelope) < 2000:
        return list(range(len(envelope)))
    joints = {0, len(envelope)}
    reader = BerReader(io.BytesIO(envelope).read)
    read_header(reader)
    at = reader.position + 2
    while envelope[at : at + 2] != b"\0\0":
        head = BerReader(io.BytesIO(envelope[at : at + 9]).read)
        _, length = head.header()
        assert length is not None
        joints |= {at, at + head.position}
        at += head.position + length
    near = {joint + by for joint in joints | {at} for by in range(-3, 25)}
    between = set(random.Random(5).sample(range(len(envelope)), 40))
    return sorted(size for size in near | between if 0 <= size < len(envelope))


@pytest.mark.parametrize("cipher", CIPHERS)
@pytest.mark.parametrize("compress", [True, False])
@pytest.mark.parametrize("size", [0, 20, 3 * SEGMENT + 100])
def test_a_message_that_was_cut_off_is_refused(cipher: CipherName, compress: bool, size: int) -> None:
    envelope = seal(NOISE[:size], [ALICE], cipher, compress)
    cuts = sizes_of_cuts(envelope)
    assert len(cuts) > 100
    for cut in cuts:
        with pytest.raises(EnvelopeError):
            opened(envelope[:cut], ALICE.key)


@pytest.mark.parametrize("cipher", [facts.name for facts in KNOWN.values()])
@pytest.mark.parametrize("content", [primitive, segmented(1000, definite=True), nested])
def test_what_others_made_and_was_cut_off_is_refused(cipher: str, content: Encode) -> None:
    for definite in (True, False):
        message = compose(NOISE[:100], ALICE, cipher).but(content=content, definite=definite)
        envelope = message.encode()
        for cut in range(len(envelope)):
            with pytest.raises(EnvelopeError):
                opened(envelope[:cut], ALICE.key)


@pytest.mark.parametrize("cipher", CIPHERS)
@pytest.mark.parametrize("trailing", [b"\0", b"\0\0", b"\n", b"more", seal(b"", [ALICE])])
def test_what_stands_after_a_message_is_refused(cipher: CipherName, trailing: bytes) -> None:
    with pytest.raises(EnvelopeError, match="something follows"):
        opened(seal(b"content", [ALICE], cipher) + trailing, ALICE.key)


def unproven(envelope: bytes) -> dict[str, range]:
    """Where the parts stand that nothing proves, in an envelope of ours sealed to ALICE (and BOB)."""
    reader = BerReader(io.BytesIO(envelope).read)
    reader.enter(0x30)
    reader.capture()
    reader.enter(0xA0)
    reader.enter(0x30)
    start = reader.position
    reader.capture()
    found = {"version": range(start, reader.position)}
    end = reader.enter(0x31)
    while not reader.at_end(end):
        start = reader.position
        info = reader.capture()
        if BOB.recipient.by_issuer.issuer in info:
            # Its tag, by which the kinds of recipient are told apart, and its length do matter.
            found["the other recipient's entry"] = range(start + 4, reader.position)
            continue
        version, rid, algorithm, _ = der.children(der.contents(info, 0x30))
        start += 4
        found["our entry's version"] = range(start, start + len(version))
        start += len(version) + len(rid) + len(algorithm) - 2
        found["our entry's NULL"] = range(start, start + 2)
    return found


def flipped(
    envelope: bytes, leave: range = range(0), bits: Sequence[int] = range(8)
) -> dict[int, list[bytes]]:
    """Every octet (but those to `leave`) at which some flipped bit was not refused, with what it
    then opened to.
    """
    found: dict[int, list[bytes]] = {}
    for at in sorted(set(range(len(envelope))) - set(leave)):
        for bit in bits:
            octets = bytearray(envelope)
            octets[at] ^= 1 << bit
            try:
                found.setdefault(at, []).append(opened(bytes(octets), ALICE.key))
            except EnvelopeError:
                continue
    return {at: opened_to for at, opened_to in found.items() if opened_to}


def places(parts: dict[str, range]) -> set[int]:
    return {at for part in parts.values() for at in part}


def content_of(envelope: bytes) -> tuple[int, int]:
    """Where the initialisation vector begins, and where the ciphertext of a short message does."""
    reader = BerReader(io.BytesIO(envelope).read)
    header = read_header(reader)
    return envelope.index(header.nonce), reader.position + 4


def our_key(envelope: bytes) -> set[int]:
    """Where our encrypted key stands, in an envelope to ALICE alone. A bit flipped there makes OpenSSL
    give random octets: now and then as many as a key has, and with CBC, now and then a padding, too.
    """
    null = unproven(envelope)["our entry's NULL"]
    return set(range(null.stop, null.stop + 4 + ALICE.private.key_size // 8))


def test_every_flipped_bit_of_a_gcm_message_is_refused_or_does_not_matter() -> None:
    """It does not matter in the versions, in the NULL beside our key, and in another's entry."""
    plain = b"content that matters"
    envelope = seal(plain, [ALICE, BOB])
    parts = unproven(envelope)
    assert len(parts) == 4
    # Most of the other's encrypted key: octets like all the rest of it.
    entry = parts["the other recipient's entry"]
    found = flipped(envelope, leave=range(entry.stop - 250, entry.stop - 10))
    assert {out for outs in found.values() for out in outs} == {plain}
    assert set(found) <= places(parts)
    assert all(set(found) & set(part) for part in parts.values())


def test_a_flipped_bit_of_a_long_gcm_message_is_refused() -> None:
    envelope = seal(NOISE, [ALICE], compress=False)
    chance = random.Random(9)
    for at in (*chance.sample(range(500, len(envelope)), 40), *range(len(envelope) - 30, len(envelope))):
        octets = bytearray(envelope)
        octets[at] ^= 1 << chance.randrange(8)
        with pytest.raises(EnvelopeError):
            opened(bytes(octets), ALICE.key)


def test_the_last_of_a_gcm_message_is_not_written_before_it_is_proven() -> None:
    """So that a short message is never written at all, and no long one ever looks whole."""
    for plain in (b"short", NOISE):
        envelope = bytearray(seal(plain, [ALICE], compress=False))
        envelope[-30] ^= 1
        out = bytearray()
        with pytest.raises(EnvelopeError):
            open_envelope(io.BytesIO(bytes(envelope)).read, out.extend, [ALICE.key])
        assert len(out) < len(plain)
        assert len(plain) > SEGMENT or not out


def test_what_cbc_can_and_cannot_tell() -> None:
    """FORMAT.md says it in words: structure and padding are checked, altered content is not."""
    plain = bytes(range(64))
    envelope = seal(plain, [ALICE], "aes-256-cbc", compress=False)
    found = flipped(envelope, bits=(0, 2, 7))
    vector, start = content_of(envelope)
    altered = {at for at, outs in found.items() if set(outs) != {plain}} - our_key(envelope)
    # The vector and every block before the last two. In those, some changes leave a padding: a few of
    # the last octets of the last block but one, which here was a whole block of padding's own.
    certain = {*range(vector, vector + 16), *range(start, start + 48)}
    tail = set(range(start + 48, len(envelope)))
    assert certain <= altered <= certain | tail
    assert set(found) <= altered | places(unproven(envelope)) | tail | our_key(envelope)
    one_bit = bytearray(envelope)
    one_bit[vector + 5] ^= 0x20
    assert opened(bytes(one_bit), ALICE.key) == plain[:5] + bytes((plain[5] ^ 0x20,)) + plain[6:]


def test_what_cbc_cannot_tell_the_checksum_of_zstd_mostly_does() -> None:
    """Only where the frame's first five octets are hit, it passes: as no frame, or without checksum."""
    plain = b"content " * 1000
    envelope = seal(plain, [ALICE], "aes-256-cbc")
    found = flipped(envelope, bits=(0, 2, 7))
    vector, start = content_of(envelope)
    altered = {at for at, outs in found.items() if set(outs) != {plain}} - our_key(envelope)
    first_octets = set(range(vector, vector + 4))
    assert first_octets <= altered <= first_octets | {vector + 4, *range(start, start + 16)}
