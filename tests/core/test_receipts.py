"""Receipts come from machines that may be in an attacker's hands: a receipt, or ReceiptError, always."""

import json
import random
import tracemalloc
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.keyring import BOUNDED
from nightdrop.errors import ReceiptError
from nightdrop.names import SetKey
from nightdrop.receipts import MAX_SIZE, Receipt, ReceiptFile, Source, digest, parse_receipt

HOST = "web1"
KEY = SetKey("duplicity", "20260203T040506Z", "inc", "20260102T030405Z")
FILES = (
    ReceiptFile(f"{KEY.stem}.vol1.difftar.p7m", 12_345, "0" * 64),
    ReceiptFile(f"{KEY.stem}.vol2.difftar.p7m", 0, "f" * 64),
    ReceiptFile(KEY.signatures_name, 2**63 - 1, "1" * 64),
    ReceiptFile(KEY.manifest_name, 1, "2" * 64),
    ReceiptFile(KEY.supplement_name, 1, "3" * 64),
)
GOOD = Receipt(
    host=HOST,
    set=KEY.stem,
    type="inc",
    started="2026-02-03T04:05:06Z",
    finished="2026-02-03T04:15:06Z",
    files=FILES,
    recipients=("a" * 64, "b" * 64),
    tool="nightdrop 0.1.0, duplicity 3.2.1",
    source=Source(("/etc", "/häme 🙂"), 10**12, 5, 1),
    previous="c" * 64,
)


def fields() -> dict[str, Any]:
    """A good receipt, to be spoilt."""
    read: dict[str, Any] = json.loads(GOOD.to_bytes())
    return read


def parse(octets: bytes) -> Receipt:
    return parse_receipt(octets, KEY, HOST)


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
COUNTS = st.integers(0, 2**63 - 1)
DIGESTS = st.binary(min_size=32, max_size=32).map(bytes.hex)


@st.composite
def receipts(draw: st.DrawFn) -> Receipt:
    numbers = draw(st.lists(st.integers(1, 9_999_999), min_size=1, max_size=5, unique=True))
    files = [ReceiptFile(f"{KEY.stem}.vol{n}.difftar.p7m", draw(COUNTS), draw(DIGESTS)) for n in numbers]
    what = tuple(draw(st.lists(TEXTS, max_size=3)))
    return Receipt(
        host=HOST,
        set=KEY.stem,
        type=KEY.type,
        started=draw(TEXTS),
        finished=draw(TEXTS),
        files=tuple(files),
        recipients=tuple(draw(st.lists(TEXTS, max_size=3))),
        tool=draw(TEXTS),
        source=Source(what, draw(COUNTS), draw(COUNTS), draw(COUNTS)),
        previous=draw(st.just("") | DIGESTS),
    )


@BOUNDED
@given(receipts())
def test_what_is_written_is_read(receipt: Receipt) -> None:
    assert parse(receipt.to_bytes()) == receipt


def test_a_receipt_is_plain_ascii_and_a_line_at_its_end() -> None:
    octets = GOOD.to_bytes()
    assert octets.isascii()
    assert octets.endswith(b"}\n")
    assert json.loads(octets)["format"] == "nightdrop-receipt/1"


def test_the_first_receipt_has_no_previous() -> None:
    assert parse(json.dumps(fields() | {"previous": ""}).encode()).previous == ""


def test_more_fields_than_we_know_do_not_matter() -> None:
    more = fields()
    more["colour"] = ["red", {"green": 1.5}]
    more["files"][0]["mtime"] = None
    more["source"]["dirs"] = 7
    assert parse(json.dumps(more).encode()) == GOOD


def test_the_digest_is_the_sha_256_of_the_file() -> None:
    assert digest(b"") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


def _set(*path: str | int, to: object) -> Callable[[dict[str, Any]], object]:
    def spoil(fields: Any) -> None:
        for step in path[:-1]:
            fields = fields[step]
        fields[path[-1]] = to

    return spoil


def _drop(*path: str | int) -> Callable[[dict[str, Any]], object]:
    def spoil(fields: Any) -> None:
        for step in path[:-1]:
            fields = fields[step]
        del fields[path[-1]]

    return spoil


OTHER = SetKey("duplicity", "20260304T040506Z", "inc", "20260102T030405Z")

WRONG: dict[str, tuple[Callable[[dict[str, Any]], object], str]] = {
    "another format": (_set("format", to="nightdrop-receipt/2"), "format"),
    "no format": (_drop("format"), "format"),
    "another host": (_set("host", to="web2"), "another host: web2"),
    "a host that is none": (_set("host", to="../web1"), "another host"),
    "another set": (_set("set", to=OTHER.stem), f"another set: {OTHER.stem}"),
    "another type": (_set("type", to="full"), "another set"),
    "no files": (_set("files", to=[]), "no file"),
    "a file of another set": (_set("files", 0, "name", to=OTHER.manifest_name), "not of this set"),
    "a file of the full": (
        _set("files", 0, "name", to="duplicity-full.20260102T030405Z.manifest.p7m"),
        "not of this set",
    ),
    "a file that cannot exist": (_set("files", 0, "name", to="/etc/passwd"), "not of this set"),
    "a file with an escape": (_set("files", 0, "name", to="\x1b[2J\n"), r"\\x1b\[2J\\n"),
    "the receipt itself": (_set("files", 0, "name", to=KEY.receipt_name), "not of this set"),
    "its signature": (_set("files", 0, "name", to=f"{KEY.receipt_name}.p7s"), "not of this set"),
    "one file twice": (_set("files", 1, "name", to=FILES[0].name), "twice"),
    "a file without a name": (_drop("files", 0, "name"), "`name`"),
    "a file without a size": (_drop("files", 0, "size"), "`size`"),
    "a file that is a text": (_set("files", 0, to="x"), "`files`"),
    "files that are a text": (_set("files", to="x"), "`files`"),
    "files that are a table": (_set("files", to={}), "`files`"),
    "a negative size": (_set("files", 0, "size", to=-1), "`size`"),
    "a size of true": (_set("files", 0, "size", to=True), "`size`"),
    "a size with a fraction": (_set("files", 0, "size", to=1.0), "`size`"),
    "a size in words": (_set("files", 0, "size", to="12"), "`size`"),
    "a size of nothing": (_set("files", 0, "size", to=None), "`size`"),
    "a size of 2^63": (_set("files", 0, "size", to=2**63), "`size`"),
    "a huge size": (_set("files", 0, "size", to=10**4000), "`size`"),
    "not a number": (_set("files", 0, "size", to=float("nan")), "`size`"),
    "infinite": (_set("files", 0, "size", to=float("inf")), "`size`"),
    "a digest in upper case": (_set("files", 0, "sha256", to="A" * 64), "SHA-256"),
    "a short digest": (_set("files", 0, "sha256", to="a" * 63), "SHA-256"),
    "a digest and a line end": (_set("files", 0, "sha256", to="a" * 64 + "\n"), "SHA-256"),
    "a digest that is a number": (_set("files", 0, "sha256", to=0), "`sha256`"),
    "no recipients": (_drop("recipients"), "`recipients`"),
    "a recipient that is a number": (_set("recipients", 0, to=5), "`recipients`"),
    "no source": (_drop("source"), "`source`"),
    "a source that is a list": (_set("source", to=[]), "`source`"),
    "a source without a size": (_drop("source", "size"), "`size`"),
    "a negative count": (_set("source", "unread", to=-1), "`unread`"),
    "a count of true": (_set("source", "files", to=True), "`files`"),
    "nothing that was backed up": (_drop("source", "what"), "`what`"),
    "what was backed up in words": (_set("source", "what", to="/etc"), "`what`"),
    "previous is no digest": (_set("previous", to="none"), "`previous`"),
    "previous is nothing": (_set("previous", to=None), "`previous`"),
    "no previous": (_drop("previous"), "`previous`"),
    "a time that is a number": (_set("started", to=1770091506), "`started`"),
    "an endless text": (_set("tool", to="x" * 4097), "`tool`"),
    "half a character": (_set("tool", to="\ud83d"), "`tool`"),
    "half a character in a list": (_set("source", "what", 0, to="\udcff"), "`what`"),
    "a host with half a character": (_set("host", to="web1\ud800"), "`host`"),
}


@pytest.mark.parametrize("why", WRONG)
def test_each_way_to_be_wrong_is_named(why: str) -> None:
    spoil, said = WRONG[why]
    spoilt = fields()
    spoil(spoilt)
    with pytest.raises(ReceiptError, match=said) as caught:
        parse(json.dumps(spoilt).encode())
    assert caught.value.message.isprintable()


def _bomb(opening: bytes, times: int) -> bytes:
    return opening * times


NO_JSON = {
    "nothing": b"",
    "NUL": b"\0" * 100,
    "a text": b'"receipt"',
    "a list": b"[]",
    "a number": b"7",
    "not a number": b"NaN",
    "an envelope": b"\x30\x80\x06\x09",
    "cut off": GOOD.to_bytes()[:-20],
    "more after it": GOOD.to_bytes() + b"{}",
    "UTF-8 with a mark": b"\xef\xbb\xbf" + GOOD.to_bytes(),
    "UTF-16": GOOD.to_bytes().decode().encode("utf-16"),
    "UTF-16 without a mark": GOOD.to_bytes().decode().encode("utf-16-le"),
    "UTF-32": GOOD.to_bytes().decode().encode("utf-32"),
    "Latin-1": GOOD.to_bytes().replace(b"nightdrop 0", b"n\xe4chtlich 0"),
    "an encoded surrogate": GOOD.to_bytes().replace(b"nightdrop 0", b"\xed\xa0\x80"),
    "an overlong encoding": GOOD.to_bytes().replace(b"nightdrop 0", b"\xc0\xaf"),
    "a huge whole number": b'{"format": ' + b"9" * 5000 + b"}",
    "lists in lists": _bomb(b"[", 100_000),
    "tables in tables": _bomb(b'{"a":', 100_000),
    "lists in lists behind a text": b'{"a":"' + b"]" * 100_000 + b'","b":' + _bomb(b"[", 100_000),
    "many empty lists": b"[" + _bomb(b"[],", 3_000_000) + b"[]]",
    "33 MB": GOOD.to_bytes() + b" " * (33 * 1024 * 1024),
    "33 MB of a number": b"1" * (33 * 1024 * 1024),
}


@pytest.mark.parametrize("why", NO_JSON)
def test_what_is_no_receipt_is_refused_and_costs_little(why: str) -> None:
    tracemalloc.start()
    try:
        with pytest.raises(ReceiptError):
            parse(NO_JSON[why])
        assert tracemalloc.get_traced_memory()[1] < 4 * MAX_SIZE
    finally:
        tracemalloc.stop()


def test_the_longest_receipt_is_read() -> None:
    octets = GOOD.to_bytes()
    assert parse(octets + b" " * (MAX_SIZE - len(octets))) == GOOD


def test_there_is_room_for_as_many_files_as_promised() -> None:
    """MAX_SIZE says 150,000; one in a hundred of them are enough to reckon by."""
    files = tuple(
        ReceiptFile(f"{KEY.stem}.vol{100_000 + number}.difftar.p7m", 10**9, digest(b"%d" % number))
        for number in range(1500)
    )
    octets = GOOD._replace(files=files).to_bytes()
    assert len(parse(octets).files) == len(files)
    assert len(octets) * 100 < MAX_SIZE


VALUES: list[object] = [None, True, -1, 2**70, 1.5, "", "x\ud800", [], {}, [[]], "NaN", float("nan")]


def test_whatever_is_changed_it_is_a_receipt_or_an_error() -> None:
    """Three thousand mutations of octets and values: never any other exception."""
    chance = random.Random(20260102)
    good = GOOD.to_bytes()
    refused = 0
    for _ in range(3000):
        if chance.random() < 0.5:
            octets = bytearray(good)
            for _ in range(chance.randint(1, 4)):
                at = chance.randrange(len(octets))
                octets[at : at + chance.randint(0, 3)] = chance.choice(
                    [b"", b"\xff", b"\0", b"[", b"}", b'"', b"\\u", b"\\ud800", b"1e999", b"-", b","]
                )
            spoilt = bytes(octets)
        else:
            tree = fields()
            spot: Any = tree
            while True:
                key = chance.choice(list(spot) if isinstance(spot, dict) else range(len(spot)))
                if isinstance(spot[key], dict | list) and spot[key] and chance.random() < 0.7:
                    spot = spot[key]
                    continue
                spot[key] = chance.choice(VALUES)
                break
            spoilt = json.dumps(tree).encode()
        try:
            parse(spoilt)
        except ReceiptError as error:
            refused += 1
            assert error.message.isprintable()
    assert refused > 2000
