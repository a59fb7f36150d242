"""Supplements: any octets a path may have come through, and no path leads anywhere but down."""

import json
import random
import re
import tracemalloc
from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.keyring import BOUNDED
from core.supplements import parse_supplement
from nightdrop.errors import NightdropError
from nightdrop.supplement import FORMAT, Supplement, read_supplement

PARTS = (
    st.binary(min_size=1, max_size=12)
    .map(lambda part: re.sub(rb"[/\0]", b"%", part))
    .filter(lambda part: part not in (b".", b".."))
)
PATHS = st.lists(PARTS, min_size=1, max_size=4).map(b"/".join)


@BOUNDED
@given(
    st.lists(st.lists(PATHS, min_size=2, max_size=4).map(tuple), max_size=4).map(tuple),
    st.lists(PATHS, max_size=4).map(tuple),
)
def test_what_is_written_is_read(links: tuple[tuple[bytes, ...], ...], sparse: tuple[bytes, ...]) -> None:
    supplement = Supplement(links, sparse)
    octets = supplement.to_bytes()
    assert octets.isascii()
    assert parse_supplement(octets) == supplement


@pytest.mark.parametrize(
    "path",
    [
        b"not utf-8 \xff\xfe\x80",
        b"new\nline/\x1b[31m",
        b"percent %41 %zz %",
        b"back\\slash \"and\" 'quotes'",
        b"...",
        b".hidden/..twice",
        b" ",
        b"caf\xc3\xa9 and cafe\xcc\x81",
        b"x" * 4000,
    ],
)
def test_odd_paths_come_through(path: bytes) -> None:
    supplement = Supplement(((path, b"other"),), (path,))
    assert parse_supplement(supplement.to_bytes()) == supplement


def test_octets_that_need_it_are_percent_encoded_and_readable_otherwise() -> None:
    octets = Supplement(((b"etc/a b", b"etc/\xff%"),), ()).to_bytes()
    assert json.loads(octets) == {
        "format": "nightdrop-supplement/1",
        "hard_links": [["etc/a%20b", "etc/%FF%25"]],
        "sparse": [],
    }


def test_an_empty_one_is_worth_no_file() -> None:
    assert not Supplement((), ())
    assert Supplement((), (b"a",))
    assert Supplement(((b"a", b"b"),), ())


HOSTILE = [
    *["..", "../x", "a/..", "a/../../x", "%2e%2e", "%2E%2E/x", "a/%2e%2e/b", "%2e", ".", "./a", "a/."],
    *["/", "/etc/passwd", "%2Fetc/passwd", "%2fetc", "//a"],
    *["", "a//b", "a/", "a%2F%2Fb", "a%2F"],
    *["a%00", "%00", "a/b%00c", "a\0"],
    *["\ud800", 5, None, True, [], {}, 1.5, ["a"]],
]


@pytest.mark.parametrize("path", HOSTILE, ids=repr)
def test_a_path_that_does_not_lead_down_is_refused(path: object) -> None:
    for fields in (
        {"hard_links": [["a", path]], "sparse": []},
        {"hard_links": [], "sparse": ["a", path]},
    ):
        with pytest.raises(NightdropError):
            parse_supplement(json.dumps({"format": FORMAT, **fields}).encode())


@pytest.mark.parametrize(
    "octets",
    [
        b"",
        b"\0",
        b"\xff\xfe",
        b"null",
        b"7",
        b"[]",
        b"{}",
        b'"nightdrop-supplement/1"',
        b'{"format": "nightdrop-supplement/1"}',
        b'{"format": "nightdrop-supplement/2", "hard_links": [], "sparse": []}',
        b'{"format": "nightdrop-supplement/1", "hard_links": 5, "sparse": []}',
        b'{"format": "nightdrop-supplement/1", "hard_links": [5], "sparse": []}',
        b'{"format": "nightdrop-supplement/1", "hard_links": [], "sparse": null}',
        b"[" * 100_000,
        b'{"a":' * 100_000,
        Supplement((), (b"a",)).to_bytes()[:-3],
        b"9" * 5000,
    ],
    ids=lambda octets: repr(octets[:40]),
)
def test_garbage_is_told_as_such(octets: bytes) -> None:
    with pytest.raises(NightdropError):
        parse_supplement(octets)


def test_whatever_is_changed_it_is_a_supplement_or_an_error() -> None:
    chance = random.Random(20260102)
    good = Supplement(((b"etc/a", b"etc/b\xff"), (b"x", b"y")), (b"var/sparse",)).to_bytes()
    refused = 0
    for _ in range(3000):
        octets = bytearray(good)
        for _ in range(chance.randint(1, 3)):
            at = chance.randrange(len(octets))
            octets[at : at + chance.randint(0, 3)] = chance.choice(
                [b"", b"\xff", b"..", b"/", b"[", b"}", b'"', b"%", b"%00", b"\\ud800", b"0", b"null"]
            )
        try:
            found = parse_supplement(bytes(octets))
        except NightdropError:
            refused += 1
            continue
        for path in (*(path for group in found.hard_links for path in group), *found.sparse):
            assert not path.startswith(b"/")
            assert not set(path.split(b"/")) & {b"", b".", b".."}
            assert b"\0" not in path
    assert refused > 1000


def test_reading_a_long_one_takes_little_memory() -> None:
    """Octet for octet, nothing takes more than empty lists."""
    fields = {"format": FORMAT, "hard_links": [[]] * 50_000, "sparse": ["a"]}
    octets = BytesIO(json.dumps(fields).encode())
    tracemalloc.start()
    try:
        assert [entry.path for entry in read_supplement(octets)] == [b"a"]
        _now, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 1_000_000
