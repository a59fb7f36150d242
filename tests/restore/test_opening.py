"""Opening: everything that was sealed comes out as it went in, and nothing that was altered does."""

import io
import random

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from core.keyring import BOUNDED, CIPHERS, Holder, holders, opened, seal, seal_pieces
from core.messages import (
    DIGESTS,
    Encode,
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
from nightdrop.envelope.sealing import SEGMENT, ZSTD_MAGICS
from nightdrop.errors import EnvelopeError
from nightdrop_restore.envelope.opening import open_envelope
from nightdrop_restore.envelope.unwrapping import Key

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
