"""Opening what is no good message: each fault is named, in bounded memory, by an error of ours."""

import io
import random
import tracemalloc
import zlib
from collections.abc import Callable

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from core.keyring import BOUNDED, CIPHERS, holders, opened, seal, seal_pieces
from core.messages import (
    DIGESTS,
    Message,
    compose,
    indefinite,
    nested,
    primitive,
    segmented,
)
from core.mutations import mutated
from nightdrop.envelope import der
from nightdrop.envelope.algorithms import CipherName
from nightdrop.envelope.sealing import SEGMENT
from nightdrop.errors import EnvelopeError
from nightdrop_restore.envelope import opening
from nightdrop_restore.envelope.opening import open_envelope

ALICE, BOB, _ = holders()
NOISE = random.Random(1).randbytes(3 * SEGMENT + 4321)

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
    refused = 0
    for _ in range(4000):
        message = chance.choice(good)
        gcm = b"\x01\x17" in message[:20]
        try:
            out = opened(mutated(chance, message), ALICE.key)
        except EnvelopeError as error:
            refused += 1
            assert error.message.isprintable()
        else:
            assert out == plain or not gcm
    assert refused > 3000
