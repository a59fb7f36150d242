"""Reading BER from a stream: every form of the same thing reads the same; everything else is refused."""

import io
import tracemalloc
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.keyring import BOUNDED
from core.messages import indefinite
from nightdrop.envelope import der
from nightdrop.envelope.ber import CAPTURE_LIMIT, BerReader
from nightdrop.errors import EnvelopeError


def reading(octets: bytes, most: int = 1 << 30) -> BerReader:
    """A reader of octets that come at most so many at a time."""
    stream = io.BytesIO(octets)
    return BerReader(lambda size: stream.read(min(size, most)))


def contents(octets: bytes, most: int = 1 << 30) -> bytes:
    return b"".join(reading(octets, most).octet_string(0))


# The pure functions.


@pytest.mark.parametrize(
    ("octets", "written"),
    [(0, "00"), (127, "7f"), (128, "8180"), (255, "81ff"), (256, "820100"), (2**32, "850100000000")],
)
def test_lengths(octets: int, written: str) -> None:
    assert der.length(octets).hex() == written


@pytest.mark.parametrize(
    ("value", "written"), [(0, "020100"), (127, "02017f"), (128, "02020080"), (65537, "0203010001")]
)
def test_integers(value: int, written: str) -> None:
    assert der.integer(value).hex() == written


@pytest.mark.parametrize(
    ("dotted", "written"),
    [
        ("1.2.840.113549.1.7.3", "06092a864886f70d010703"),
        ("2.16.840.1.101.3.4.1.46", "060960864801650304012e"),
        ("2.999.3", "0603883703"),
    ],
)
def test_object_identifiers(dotted: str, written: str) -> None:
    assert der.oid(dotted).hex() == written


@BOUNDED
@given(st.integers(0, 0x1E), st.binary(max_size=300))
def test_what_is_written_is_split(tag: int, body: bytes) -> None:
    octets = der.element(tag, body)
    assert der.split(octets + b"more") == (tag, len(octets) - len(body), len(octets))
    assert der.contents(octets, tag) == body
    assert der.children(octets * 3) == [octets] * 3


@pytest.mark.parametrize(
    "octets",
    [
        "",
        "04",
        "0401",
        "0481",
        "048201",
        "0480",
        "04850000000001",
        "1f0100",
        "0401ff00",
        "0501",
        "84ffffffff",
    ],
)
def test_what_is_no_element_is_refused(octets: str) -> None:
    with pytest.raises(EnvelopeError):
        der.contents(bytes.fromhex(octets), 0x04)


# Octet strings, in every shape.


@st.composite
def shaped(draw: st.DrawFn, depth: int = 0) -> tuple[bytes, bytes]:
    """Some octets, and an OCTET STRING that holds them in a shape of its own."""
    shape = draw(st.sampled_from(["primitive", "definite", "indefinite"] if depth < 4 else ["primitive"]))
    if shape == "primitive":
        octets = draw(st.binary(max_size=40))
        return octets, der.element(0x04, octets)
    parts = draw(st.lists(shaped(depth + 1), max_size=4))
    octets = b"".join(part for part, _ in parts)
    wrap = der.element if shape == "definite" else indefinite
    return octets, wrap(0x24, *(written for _, written in parts))


@BOUNDED
@given(shaped(), st.sampled_from([1, 2, 3, 7, 1 << 20]), st.binary(max_size=5))
def test_every_shape_of_an_octet_string_reads_the_same(
    pair: tuple[bytes, bytes], most: int, after: bytes
) -> None:
    octets, written = pair
    implicit = bytes((written[0] & 0x20 | 0x80,)) + written[1:]
    reader = reading(implicit + after, most)
    assert b"".join(reader.octet_string(0)) == octets
    assert reader.position == len(implicit)
    assert reader.peek(9) == after


@BOUNDED
@given(shaped(), st.data())
def test_an_octet_string_that_is_cut_off_is_refused(
    pair: tuple[bytes, bytes], data: st.DataObject
) -> None:
    written = bytes((pair[1][0] & 0x20 | 0x80,)) + pair[1][1:]
    with pytest.raises(EnvelopeError):
        contents(written[: data.draw(st.integers(0, len(written) - 1))])


def test_lengths_may_be_longer_than_they_need_be() -> None:
    """X.690, 8.1.3.5, note 2: BER allows it."""
    assert contents(bytes.fromhex("8088 0000000000000003 616263".replace(" ", ""))) == b"abc"


WRONG_CONTENTS = {
    "another tag": "04 03 616263",
    "another number": "81 03 616263",
    "a primitive without a length": "80 80 616263 0000",
    "a segment without a length": "a0 80 04 80 0000",
    "a segment with another tag": "a0 80 0c 01 61 0000",
    "a number among the segments": "a0 80 02 01 61 0000",
    "a segment with the tag of the whole": "a0 80 80 01 61 0000",
    "a segment longer than the whole": "a0 03 04 02 6161",
    "a long tag": "bf 24 80 0000",
    "nine octets of length": "80 89 000000000000000001 61",
    "a reserved length": "80 ff 61",
    "no end": "a0 80 04 01 61",
    "half an end": "a0 80 04 01 61 00",
    "a strange end": "a0 80 04 01 61 00 01",
    "2^63 octets": "80 88 8000000000000000 61",
    "2^64 - 1 octets": "80 88 ffffffffffffffff 61",
    "a segment of 2^63 octets": "a0 80 04 88 8000000000000000 61",
    "a definite whole of 2^63 octets": "a0 88 8000000000000000 04 01 61",
}


@pytest.mark.parametrize("why", WRONG_CONTENTS)
def test_other_octet_strings_are_refused(why: str) -> None:
    with pytest.raises(EnvelopeError):
        contents(bytes.fromhex(WRONG_CONTENTS[why]))


@pytest.mark.parametrize("opening", ["a080" + "2480" * 17, "a080" + "2480" * 100_000])
def test_nesting_has_a_limit(opening: str) -> None:
    with pytest.raises(EnvelopeError, match="nested too deep"):
        contents(bytes.fromhex(opening))


def test_nesting_as_deep_as_anybody_would_is_read() -> None:
    assert contents(bytes.fromhex("a080" + "2480" * 15 + "040161" + "0000" * 16)) == b"a"


# Elements that are captured whole.


@st.composite
def trees(draw: st.DrawFn, depth: int = 0, indefinites: bool = True) -> tuple[bytes, bytes]:
    """An element, as BER writes it with indefinite lengths here and there, and in definite form."""
    if depth == 4 or draw(st.booleans()):
        element = der.element(
            draw(st.sampled_from([0x02, 0x04, 0x05, 0x06])), draw(st.binary(max_size=20))
        )
        return element, element
    tag = draw(st.sampled_from([0x30, 0x31, 0xA0, 0x24]))
    loose = indefinites and draw(st.booleans())
    parts = draw(st.lists(trees(depth + 1, loose), max_size=3))
    wrap = indefinite if loose else der.element
    return wrap(tag, *(p for p, _ in parts)), der.element(tag, *(p for _, p in parts))


@BOUNDED
@given(trees(), st.sampled_from([1, 3, 1 << 20]))
def test_what_is_captured_is_in_definite_form(pair: tuple[bytes, bytes], most: int) -> None:
    written, definite = pair
    reader = reading(written + b"\x05\x00", most)
    assert reader.capture() == definite
    assert reader.position == len(written)
    assert reader.capture() == b"\x05\x00"
    with pytest.raises(EnvelopeError, match="ends in the middle"):
        reader.capture()


Make = Callable[[], bytes]
TOO_MUCH: dict[str, Make] = {
    "long": lambda: der.element(0x30, bytes(CAPTURE_LIMIT + 1)),
    "long, it says": lambda: b"\x30\x88\x7f" + b"\xff" * 7,
    "2^63, it says": lambda: b"\x30\x88\x80" + b"\0" * 7,
    "many small ones": lambda: b"\x30\x80" + b"\x05\x00" * (CAPTURE_LIMIT // 2 + 1),
    "many nested ones": lambda: b"\x30\x80" + b"\x30\x80\x05\x00\x00\x00" * (CAPTURE_LIMIT // 4 + 1),
    "many without content or length": lambda: b"\x30\x80" + b"\x30\x80\0\0" * (CAPTURE_LIMIT // 32 + 2),
    "the same, here and there": lambda: (
        b"\x30\x80" + indefinite(0x30, *[b"\x30\x80\0\0"] * (CAPTURE_LIMIT // 64)) * 3
    ),
    "longer than asked for": lambda: der.element(0x30, bytes(2000)),
    "one after the other without an end": lambda: b"\x30\x80" + der.element(4, bytes(1 << 19)) * 9,
    "deep": lambda: b"\x30\x80" * 100_000,
}


@pytest.mark.parametrize("why", TOO_MUCH)
def test_what_is_captured_has_a_limit_in_memory_and_time(why: str) -> None:
    octets = TOO_MUCH[why]()
    reader = reading(octets)
    tracemalloc.start()
    try:
        with pytest.raises(EnvelopeError, match=r"longer than any|nested too deep"):
            reader.capture(1000 if why == "longer than asked for" else CAPTURE_LIMIT)
        assert tracemalloc.get_traced_memory()[1] < 16 * CAPTURE_LIMIT
    finally:
        tracemalloc.stop()


def test_the_longest_element_is_captured() -> None:
    octets = der.element(0x30, bytes(CAPTURE_LIMIT))
    assert reading(octets).capture() == octets


def test_nothing_is_read_ahead_of_need_without_bound() -> None:
    """However long an element says it is, the reader asks for a chunk at a time and holds no more."""
    asked: list[int] = []

    def endless(size: int) -> bytes:
        asked.append(size)
        return b"\x80\x88\x7f" + b"\xff" * 7 if len(asked) == 1 else bytes(size)

    pieces = BerReader(endless).octet_string(0)
    assert sum(len(next(pieces)) for _ in range(50)) <= sum(asked)
    assert len(asked) == 51
    assert set(asked) == {256 * 1024}


@pytest.mark.parametrize(
    ("octets", "problem"),
    [
        ("30 03 05 00 05", "does not end where its length says"),
        ("30 80 05 00 05 00", "end-of-contents octets are missing"),
        ("30 80 05 00 00", "ends in the middle"),
        ("31 02 05 00", "0x31 stands where 0x30 belongs"),
        ("30", "ends in the middle"),
        ("", "ends in the middle"),
    ],
)
def test_going_in_and_out_of_an_element(octets: str, problem: str) -> None:
    reader = reading(bytes.fromhex(octets))
    with pytest.raises(EnvelopeError, match=problem):
        end = reader.enter(0x30)
        reader.capture()
        reader.leave(end)
