"""Facts as people read them, and strangers' strings made harmless."""

import re
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from core.keyring import BOUNDED
from nightdrop.text import (
    count,
    format_duration,
    format_size,
    harmless,
    one_line,
    parse_duration,
    parse_size,
)


@pytest.mark.parametrize(
    ("text", "octets"),
    [
        ("0", 0),
        ("4096", 4096),
        ("4096B", 4096),
        ("1K", 1000),
        ("200M", 200_000_000),
        ("200 MB", 200_000_000),
        ("200mb", 200_000_000),
        ("1.5G", 1_500_000_000),
        (" 1T ", 10**12),
        ("2P", 2 * 10**15),
        ("1.0000000000000001P", 10**15),
        ("9007199254740993", 9_007_199_254_740_993),
        ("0.0001K", 0),
        ("9" * 400, int("9" * 400)),
    ],
)
def test_sizes_are_read(text: str, octets: int) -> None:
    assert parse_size(text) == octets


NO_SIZES = ["", "M", "-1", "+1", "1,5G", "1.G", ".5G", "1e9", "0x10", "1 000", "1X", "٣M", "∞", "nan"]


@pytest.mark.parametrize("text", [*NO_SIZES, "9" * 5000])
def test_what_is_no_size(text: str) -> None:
    with pytest.raises(ValueError, match=r"is not a size|Exceeds the limit"):
        parse_size(text)


@pytest.mark.parametrize(
    ("octets", "text"),
    [
        (0, "0 B"),
        (532, "532 B"),
        (999, "999 B"),
        (1000, "1.0 KB"),
        (9949, "9.9 KB"),
        (9951, "10 KB"),
        (999_499, "999 KB"),
        (999_500, "1.0 MB"),
        (1_540_000, "1.5 MB"),
        (213_000_000, "213 MB"),
        (10**15, "1.0 PB"),
        (10**18, "1000 PB"),
    ],
)
def test_sizes_are_written(octets: int, text: str) -> None:
    assert format_size(octets) == text


@BOUNDED
@given(st.integers(0, 10**18))
def test_a_size_that_is_written_is_near_enough_and_short(octets: int) -> None:
    text = format_size(octets)
    assert abs(parse_size(text) - octets) <= octets * 0.06
    assert len(text) <= 7


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90s", 90), ("15m", 900), ("8h", 28_800), ("30D", 2_592_000), ("5W", 3_024_000)],
)
def test_durations_are_read(text: str, seconds: int) -> None:
    assert parse_duration(text) == seconds


NO_DURATIONS = ["", "5", "h", "-1h", "1.5h", "1d", "1H", "1w", "1M", "1h30m", "٣h"]


@pytest.mark.parametrize("text", [*NO_DURATIONS, "9" * 20 + "W", "9" * 5000 + "h"])
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(ValueError, match=r"is not a duration|is longer|Exceeds the limit"):
        parse_duration(text)


def test_every_duration_is_an_age_that_a_date_can_have() -> None:
    assert datetime(2020, 1, 1, tzinfo=UTC) - timedelta(seconds=parse_duration("365000D"))
    with pytest.raises(ValueError, match="longer"):
        parse_duration("365001D")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0.0 s"),
        (8.44, "8.4 s"),
        (9.94, "9.9 s"),
        (9.96, "10 s"),
        (59.4, "59 s"),
        (59.7, "1 min 0 s"),
        (119.7, "2 min 0 s"),
        (125, "2 min 5 s"),
        (3599.9, "1 h 0 min"),
        (11_520, "3 h 12 min"),
        (2 * 86400 - 1, "47 h 59 min"),
        (2 * 86400, "2 days"),
        (5.6 * 86400, "5 days"),
    ],
)
def test_durations_are_written(seconds: float, text: str) -> None:
    assert format_duration(seconds) == text


@BOUNDED
@given(st.floats(0, 10**9))
@example(3599.99)
def test_no_duration_counts_sixty(seconds: float) -> None:
    assert not re.search(r"\b60 (s|min)\b", format_duration(seconds))


def test_numbers_and_their_nouns() -> None:
    assert count(1, "file") == "1 file"
    assert count(0, "file") == "0 files"
    assert count(35_000, "file") == "35,000 files"


@BOUNDED
@given(st.text(st.characters(codec=None)), st.integers(1, 50))
@example("\x1b]0;title\x07\r\n", 300)
@example("\u202egnp.exe", 300)
@example("\udcff\x00\x85\u2028", 300)
def test_what_is_harmless_is_one_printable_line_of_bounded_length(text: str, limit: int) -> None:
    out = harmless(text, limit)
    assert out.isprintable()
    assert len(out.splitlines()) <= 1
    assert len(out) <= 10 * limit + 1
    assert out.endswith("…") or len(text) <= limit
    out.encode()


@BOUNDED
@given(st.text(), st.text())
def test_two_short_strings_never_look_the_same(one: str, other: str) -> None:
    assert (harmless(one, 10_000) == harmless(other, 10_000)) == (one == other)


def test_what_is_printable_stays_as_it_is() -> None:
    assert harmless("häme 🙂 'a' \"b\"") == "häme 🙂 'a' \"b\""
    assert harmless("\x1b[31m\udcff\\") == "\\x1b[31m\\udcff\\\\"


@BOUNDED
@given(st.text(st.characters(codec=None)))
@example("/srv/\x1b[31m\nnightdrop: all is well\udcff")
def test_a_sentence_of_ours_is_one_printable_line_and_what_is_harmless_stays(text: str) -> None:
    assert one_line(text).isprintable()
    assert one_line(harmless(text)) == harmless(text)
    one_line(text).encode()
