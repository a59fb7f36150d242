"""Opening: everything that was sealed comes out as it went in, and nothing that was altered does."""

import io
import random
import tracemalloc
import zlib
from collections.abc import Callable, Sequence

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from core.keyring import BOUNDED, CIPHERS, Holder, holders, opened, seal, seal_pieces
from core.messages import (
    DIGESTS,
    Encode,
    Message,
    compose,
    indefinite,
    nested,
    primitive,
    segmented,
    segments,
)
from nightdrop.envelope import der
from nightdrop.envelope.algorithms import CIPHERS as KNOWN
from nightdrop.envelope.algorithms import CipherName
from nightdrop.envelope.ber import BerReader
from nightdrop.envelope.header import read_header
from nightdrop.envelope.sealing import SEGMENT, ZSTD_MAGICS
from nightdrop.errors import EnvelopeError
from nightdrop_restore import opening
from nightdrop_restore.opening import open_envelope
from nightdrop_restore.unwrapping import Key

ALICE, BOB, CAROL = holders()
NOISE = random.Random(1).randbytes(3 * SEGMENT + 4321)

PLAIN = st.one_of(
    st.binary(max_size=100),
    st.builds(lambda magic, rest: magic + rest, st.sampled_from(ZSTD_MAGICS), st.binary(max_size=50)),
    st.integers(0, len(NOISE)).map(lambda size: NOISE[:size]),
    st.integers(0, 5).map(lambda times: b"the same again and again " * 30_000 * times),
)


# What goes in comes out.


@BOUNDED
@given(
    PLAIN,
    st.lists(st.integers(1, 2 * SEGMENT), max_size=6),
    st.lists(st.sampled_from([ALICE, BOB, CAROL]), min_size=1, max_size=3, unique=True),
    st.sampled_from(CIPHERS),
    st.booleans(),
    st.integers(1, 500_000),
)
def test_anything_sealed_in_any_way_opens_to_itself(
    plain: bytes,
    cuts: list[int],
    to: list[Holder],
    cipher: CipherName,
    compress: bool,
    most: int,
) -> None:
    """Any input, written in any pieces, to one or more; read in any pieces, by any one of them."""
    pieces, at = [], 0
    for cut in cuts:
        pieces.append(plain[at : at + cut])
        at += cut
    envelope = seal_pieces([*pieces, plain[at:]], to, cipher, compress)
    for holder in to:
        stream, out = io.BytesIO(envelope), bytearray()
        open_envelope(lambda size: stream.read(min(size, most)), out.extend, [holder.key])  # noqa: B023
        assert out == plain
    for other in {ALICE, BOB, CAROL} - set(to):
        with pytest.raises(EnvelopeError, match="does not open"):
            opened(envelope, other.key)


BEGINS_AS_ZSTD = {
    "a frame": zstandard.compress(b"content " * 1000),
    "two frames": zstandard.compress(b"one") + zstandard.compress(b"two"),
    "a frame and more": zstandard.compress(b"one") + b"more",
    "a frame in a frame": zstandard.compress(zstandard.compress(b"content")),
    "a frame cut off": zstandard.compress(NOISE)[:-5],
    "a skippable frame": b"\x50\x2a\x4d\x18\x04\x00\x00\x00abcd",
    "a skippable frame and more": b"\x5f\x2a\x4d\x18\x00\x00\x00\x00and more",
    "the magic alone": b"\x28\xb5\x2f\xfd",
    "the magic and nonsense": b"\x28\xb5\x2f\xfd" + NOISE,
    "three octets of it": b"\x28\xb5\x2f",
    "long, then a frame": NOISE[:SEGMENT] + zstandard.compress(b"x"),
}


@pytest.mark.parametrize("compress", [True, False])
@pytest.mark.parametrize("cipher", CIPHERS)
@pytest.mark.parametrize("what", BEGINS_AS_ZSTD)
@pytest.mark.parametrize("cut", [1, 3, 1 << 20])
def test_what_begins_as_zstd_comes_out_as_it_went_in(
    what: str, cipher: CipherName, compress: bool, cut: int
) -> None:
    plain = BEGINS_AS_ZSTD[what]
    pieces = [plain[at : at + cut] for at in range(0, min(len(plain), 10), cut)]
    pieces.append(plain[sum(map(len, pieces)) :])
    assert opened(seal_pieces(pieces, [ALICE], cipher, compress), ALICE.key) == plain


def test_raw_leaves_the_compression() -> None:
    frame = opened(seal(b"content " * 100, [ALICE]), ALICE.key, decompress=False)
    assert frame.startswith(ZSTD_MAGICS[0])
    assert zstandard.ZstdDecompressor().decompressobj().decompress(frame) == b"content " * 100
    assert opened(seal(b"content", [ALICE], compress=False), ALICE.key, decompress=False) == b"content"


@pytest.mark.parametrize("cipher", [facts.name for facts in KNOWN.values()])
@pytest.mark.parametrize("digest", DIGESTS)
@pytest.mark.parametrize("by_key_id", [True, False])
def test_every_cipher_and_key_transport_opens(cipher: str, digest: str, by_key_id: bool) -> None:
    for size in (0, 1, 8, 15, 16, 17, 5000):
        message = compose(NOISE[:size], ALICE, cipher, digest=DIGESTS[digest], by_key_id=by_key_id)
        assert opened(message.encode(), ALICE.key) == NOISE[:size]


@pytest.mark.parametrize("tag_length", [12, 13, 14, 15, 16])
@pytest.mark.parametrize("nonce_length", [8, 12, 13, 16, 64])
def test_every_allowed_length_of_tag_and_nonce_opens(tag_length: int, nonce_length: int) -> None:
    message = compose(NOISE[:99], ALICE, tag_length=tag_length, nonce_length=nonce_length)
    assert opened(message.encode(), ALICE.key) == NOISE[:99]
    spoilt = message.tag[:-1] + bytes((message.tag[-1] ^ 1,))
    with pytest.raises(EnvelopeError, match="tag does not match"):
        opened(message.but(tag=spoilt).encode(), ALICE.key)
    with pytest.raises(EnvelopeError, match="tag has another length"):
        opened(message.but(tag=message.tag[:-1]).encode(), ALICE.key)


FORMS: dict[str, Encode] = {
    "primitive": primitive,
    "definite": segmented(1000, definite=True),
    "segments of one octet": segmented(1),
    "segments of seven octets": segmented(7),
    "segments as long as gpg's": segmented(4096),
    "one segment": segmented(1 << 30),
    "nested": nested,
    "empty segments": lambda octets: indefinite(
        0xA0, der.element(4), *segments(octets, 999), der.element(4), der.element(4)
    ),
    "long lengths": lambda octets: b"\x80\x88" + len(octets).to_bytes(8, "big") + octets,
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("definite", [True, False])
@pytest.mark.parametrize("cipher", ["aes-256-gcm", "aes-256-cbc", "des-ede3-cbc"])
def test_every_form_of_a_message_opens(form: str, definite: bool, cipher: str) -> None:
    for size in (0, 1, 20_000):
        message = compose(NOISE[:size], ALICE, cipher).but(content=FORMS[form], definite=definite)
        assert opened(message.encode(), ALICE.key) == NOISE[:size]


def test_what_others_add_to_a_message_does_not_matter() -> None:
    """Version, originator information and attributes nobody signed: passed over (RFC 5652, 6.1)."""
    attribute = der.element(0x30, der.oid("1.2.3.4"), der.element(0x31, der.element(0x0C, b"x")))
    for cipher, tag in (("aes-256-gcm", 0xA2), ("aes-256-cbc", 0xA1)):
        message = compose(b"content", ALICE, cipher)
        more = message.but(
            version=4,
            before=indefinite(0xA0, der.element(0xA0, ALICE.recipient.certificate)),
            after=der.element(tag, attribute),
        )
        assert opened(more.encode(), ALICE.key) == b"content"
    with pytest.raises(EnvelopeError, match="authenticated attributes"):
        head = compose(b"content", ALICE)
        hashed = der.element(0xA1, attribute) + der.element(0x04, head.tag)
        opened(head.but(tag=b"", after=hashed).encode(), ALICE.key)


# Which key.


def test_a_wrong_key_is_told_who_could_open() -> None:
    with pytest.raises(EnvelopeError, match="the key given does not open") as caught:
        opened(seal(b"", [ALICE, BOB]), CAROL.key)
    names = sorted(str(holder.recipient.by_issuer) for holder in (ALICE, BOB))
    assert sorted(caught.value.hint.removeprefix("it is sealed to ").split("; ")) == names
    with pytest.raises(EnvelopeError, match="none of the 2 keys given opens"):
        opened(seal(b"", [ALICE]), CAROL.key, BOB.key)
    assert opened(seal(b"x", [ALICE]), CAROL.key, BOB.key, ALICE.key) == b"x"


def test_a_hint_does_not_name_a_thousand_recipients() -> None:
    message = compose(b"", ALICE)
    many = message.but(transports=message.transports * 1000)
    with pytest.raises(EnvelopeError) as caught:
        opened(many.encode(), CAROL.key)
    assert caught.value.hint.endswith(" and 992 others")
    assert len(caught.value.hint) < 2000


def test_a_key_without_its_certificate_opens_where_there_is_one_recipient() -> None:
    bare = Key(ALICE.private, frozenset())
    assert opened(seal(b"x", [ALICE]), bare) == b"x"
    with pytest.raises(EnvelopeError, match="several recipients") as caught:
        opened(seal(b"x", [ALICE, BOB]), bare)
    assert "append the recipient's certificate" in caught.value.hint


def test_a_wrong_key_never_yields_anything_whatever_it_decrypts_to() -> None:
    """OpenSSL answers a wrong RSA key with random octets, sometimes as many as a key has."""
    envelope = seal(b"secret " * 10, [ALICE], compress=False)
    pretender = Key(BOB.private, ALICE.key.ids)
    for key in (pretender, Key(BOB.private, frozenset())):
        with pytest.raises(EnvelopeError):
            opened(envelope, key)


def test_a_content_key_of_another_length_is_not_used() -> None:
    short = compose(b"x", ALICE, "aes-128-gcm")
    long = compose(b"x", ALICE, "aes-256-gcm")
    with pytest.raises(EnvelopeError, match="does not open"):
        opened(long.but(transports=short.transports).encode(), ALICE.key)
    with pytest.raises(EnvelopeError, match="does not open"):
        opened(short.but(transports=long.transports).encode(), ALICE.key)


# What was altered.


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
@pytest.mark.parametrize("form", ["primitive", "definite", "nested"])
def test_what_others_made_and_was_cut_off_is_refused(cipher: str, form: str) -> None:
    for definite in (True, False):
        message = compose(NOISE[:100], ALICE, cipher).but(content=FORMS[form], definite=definite)
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


CBC = compose(NOISE[:100], ALICE, "aes-256-cbc")
GCM = compose(NOISE[:100], ALICE)


def but_padding(padding: bytes) -> Message:
    """A CBC message of whole blocks whose last one ends with this."""
    plain = NOISE[: 160 - len(padding)] + padding
    whole = compose(plain, ALICE, "aes-256-cbc")
    return whole.but(ciphertext=whole.ciphertext[:160])


Make = Callable[[], Message]
DAMAGED: dict[str, tuple[Make, str]] = {
    "no content": (lambda: CBC.but(content=lambda _octets: b""), "tag 0x00 stands where"),
    "an empty content": (lambda: CBC.but(ciphertext=b""), "padding is wrong"),
    "half a block": (lambda: CBC.but(ciphertext=CBC.ciphertext[:-8]), "not of whole blocks"),
    "one octet more": (lambda: CBC.but(ciphertext=CBC.ciphertext + b"x"), "not of whole blocks"),
    "one block fewer": (lambda: CBC.but(ciphertext=CBC.ciphertext[:-16]), "padding is wrong"),
    "padding of 0": (lambda: but_padding(b"\0"), "padding is wrong"),
    "padding of 17": (lambda: but_padding(b"\x11" * 17), "padding is wrong"),
    "padding of 255": (lambda: but_padding(b"\xff"), "padding is wrong"),
    "padding that is uneven": (lambda: but_padding(b"\x04\x03\x04\x04"), "padding is wrong"),
    "GCM without a tag": (lambda: GCM.but(tag=b""), "tag 0x00|ends in the middle|stands where"),
    "GCM with an octet more": (lambda: GCM.but(ciphertext=GCM.ciphertext + b"x"), "tag does not match"),
    "GCM with an octet fewer": (lambda: GCM.but(ciphertext=GCM.ciphertext[:-1]), "tag does not match"),
    "another message's tag": (lambda: GCM.but(tag=compose(b"", ALICE).tag), "tag does not match"),
    "another message's content": (
        lambda: GCM.but(ciphertext=compose(NOISE[:100], ALICE).ciphertext),
        "tag does not match",
    ),
    "another message's key": (
        lambda: GCM.but(transports=compose(b"", ALICE).transports),
        "tag does not match",
    ),
    "a segment that is a number": (
        lambda: GCM.but(content=lambda octets: indefinite(0xA0, b"\x02\x01\x05")),
        "0x02 stands within",
    ),
    "a content of 2^63 octets": (
        lambda: GCM.but(content=lambda octets: b"\x80\x88\x80" + bytes(7) + octets),
        "ends in the middle",
    ),
    "a segment of 2^63 octets": (
        lambda: GCM.but(content=lambda octets: indefinite(0xA0, b"\x04\x88\x80" + bytes(7) + octets)),
        "ends in the middle",
    ),
    "an unknown cipher": (
        lambda: GCM.but(algorithm=der.element(0x30, der.oid("1.2.3"), der.element(0x30))),
        "unknown cipher",
    ),
    "no recipient": (lambda: GCM.but(transports=()), "does not open"),
    "nesting without end": (
        lambda: GCM.but(content=lambda octets: b"\xa0\x80" + b"\x24\x80" * 100_000),
        "nested too deep",
    ),
    "attributes without end": (
        lambda: GCM.but(after=b"\xa2\x80" + b"\x30\x80" * 100_000),
        "nested too deep",
    ),
    "attributes of 2^63 octets": (lambda: GCM.but(after=b"\xa2\x88\x80" + bytes(7)), "longer than any"),
    "a long tag": (lambda: GCM.but(tag=bytes(1 << 20)), "another length"),
}


@pytest.mark.parametrize("why", DAMAGED)
def test_what_is_wrong_with_a_message_is_named(why: str) -> None:
    make, problem = DAMAGED[why]
    envelope = make().encode()
    tracemalloc.start()
    try:
        with pytest.raises(EnvelopeError, match=problem) as caught:
            opened(envelope, ALICE.key)
        assert tracemalloc.get_traced_memory()[1] < 32 << 20
    finally:
        tracemalloc.stop()
    assert caught.value.message.isprintable()


def test_a_compressed_content_that_is_damaged_is_told_as_such() -> None:
    frame = zstandard.ZstdCompressor(write_checksum=True).compress(NOISE)
    for spoilt, problem in (
        (frame[:-1], "compressed content ends in the middle"),
        (frame[:10], "compressed content ends in the middle"),
        (frame[:-1] + bytes((frame[-1] ^ 1,)), "cannot be decompressed"),
        (frame[:4] + b"\xff" + frame[5:], "cannot be decompressed"),
        (b"\x28\xb5\x2f\xfd", "ends in the middle"),
        (b"\x50\x2a\x4d\x18\x09\x00\x00\x00abc", "ends in the middle"),
    ):
        envelope = compose(spoilt, ALICE).encode()
        with pytest.raises(EnvelopeError, match=problem):
            opened(envelope, ALICE.key)
        assert opened(envelope, ALICE.key, decompress=False) == spoilt


def test_a_gcm_message_beyond_its_limit_is_an_error_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opening, "GCM_LIMIT", 500_000)
    assert opened(seal(NOISE[:500_000], [ALICE], compress=False), ALICE.key)
    with pytest.raises(EnvelopeError, match="longer than the 500000 octets that AES-GCM allows"):
        opened(seal(NOISE[:500_001], [ALICE], compress=False), ALICE.key)
    cbc = seal(NOISE[:500_001], [ALICE], "aes-256-cbc", compress=False)
    assert len(opened(cbc, ALICE.key)) == 500_001


# Memory, and whatever else may come.


@pytest.mark.parametrize("cipher", CIPHERS)
def test_memory_is_bounded_however_well_it_was_compressed(cipher: CipherName) -> None:
    """Zeros shrink to a thirty-thousandth: one piece of that, undone at once, would be gigabytes."""
    zeros = bytes(1 << 20)
    envelope = seal_pieces((zeros for _ in range(300)), [ALICE], cipher, compress=True)
    assert len(envelope) < 50_000
    written = longest = checksum = 0

    def count(octets: bytes) -> None:
        nonlocal written, longest, checksum
        written += len(octets)
        longest = max(longest, len(octets))
        checksum = zlib.crc32(octets, checksum)

    tracemalloc.start()
    try:
        open_envelope(io.BytesIO(envelope).read, count, [ALICE.key])
        assert tracemalloc.get_traced_memory()[1] < 12 << 20
    finally:
        tracemalloc.stop()
    assert written == 300 << 20
    assert longest <= 4 << 20
    assert checksum == zlib.crc32(bytes(300 << 20))


FRAMES = {
    "plain": zstandard.ZstdCompressor(),
    "with a checksum": zstandard.ZstdCompressor(write_checksum=True),
    "without its size": zstandard.ZstdCompressor(write_content_size=False),
    "with much effort": zstandard.ZstdCompressor(level=19),
}


@BOUNDED
@given(
    st.lists(
        st.tuples(
            st.sampled_from(sorted(FRAMES)),
            st.sampled_from(
                [b"", b"a", b"tail", bytes(1000), bytes(900_000), NOISE[:300], NOISE[:200_000]]
            ),
        ),
        min_size=1,
        max_size=4,
    ),
    st.sampled_from([b"", b"\x53\x2a\x4d\x18\x05\x00\x00\x00hello"]),
    st.sampled_from([b"", b"x", b"plain text follows"]),
    st.sampled_from([1000, 4096, 1 << 18]),
)
def test_frames_of_every_kind_one_after_the_other_are_undone(
    frames: list[tuple[str, bytes]], skipped: bytes, tail: bytes, segment: int
) -> None:
    """As `zstd -dcf` does it; in what anybody sealed, cut anywhere."""
    content = skipped.join(FRAMES[kind].compress(plain) for kind, plain in frames) + skipped + tail
    envelope = compose(content, ALICE).but(content=segmented(segment)).encode()
    assert opened(envelope, ALICE.key) == b"".join(plain for _, plain in frames) + tail


def test_whatever_is_changed_it_opens_or_is_an_error_of_ours() -> None:
    """Four thousand mutations: no exception but ours, and of GCM nothing but the very content."""
    chance = random.Random(20260102)
    plain = b"content that matters"
    good = [seal(plain, [ALICE, BOB], cipher) for cipher in CIPHERS]
    good += [
        compose(plain, ALICE, digest=digest).but(content=nested).encode() for digest in DIGESTS.values()
    ]
    good += [compose(plain, ALICE, "aes-256-cbc").but(definite=True, content=primitive).encode()]
    marks = [
        b"",
        b"\0",
        b"\x80",
        b"\xff",
        b"\x30\x80",
        b"\x24\x80",
        b"\0\0",
        b"\x84\xff\xff\xff\xff",
        b"\x04\0",
    ]
    refused = 0
    for _ in range(4000):
        octets = bytearray(chance.choice(good))
        gcm = b"\x01\x17" in octets[:20]
        for _ in range(chance.randint(1, 4)):
            at = chance.randrange(len(octets))
            octets[at : at + chance.randint(0, 4)] = chance.choice([*marks, chance.randbytes(3)])
        try:
            out = opened(bytes(octets), ALICE.key)
        except EnvelopeError as error:
            refused += 1
            assert error.message.isprintable()
        else:
            assert out == plain or not gcm
    assert refused > 3000
