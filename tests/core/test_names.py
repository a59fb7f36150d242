"""One pattern says which names exist in a vault."""

import re
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.keyring import BOUNDED
from nightdrop.names import (
    MAX_NAME_LENGTH,
    SetKey,
    format_time,
    is_host_name,
    parse_name,
    parse_time,
)

T1, T2 = "20260102T030405Z", "20260203T040506Z"
FULL = SetKey("duplicity", T1, "full")
INC = SetKey("duplicity", T2, "inc", T1)

ALLOWED = {
    f"duplicity-full.{T1}.vol1.difftar.p7m": (FULL, "volume", 1),
    f"duplicity-full.{T1}.vol9999999.difftar.p7m": (FULL, "volume", 9_999_999),
    f"duplicity-full-signatures.{T1}.sigtar.p7m": (FULL, "signatures", None),
    f"duplicity-full.{T1}.manifest.p7m": (FULL, "manifest", None),
    f"duplicity-full.{T1}.supplement.p7m": (FULL, "supplement", None),
    f"duplicity-full.{T1}.jsonstat.p7m": (FULL, "jsonstat", None),
    f"duplicity-full.{T1}.receipt.json": (FULL, "receipt", None),
    f"duplicity-full.{T1}.receipt.json.p7s": (FULL, "receipt-signature", None),
    f"duplicity-inc.{T1}.to.{T2}.vol10.difftar.p7m": (INC, "volume", 10),
    f"duplicity-new-signatures.{T1}.to.{T2}.sigtar.p7m": (INC, "signatures", None),
    f"duplicity-inc.{T1}.to.{T2}.manifest.p7m": (INC, "manifest", None),
    f"duplicity-inc.{T1}.to.{T2}.supplement.p7m": (INC, "supplement", None),
    f"duplicity-inc.{T1}.to.{T2}.jsonstat.p7m": (INC, "jsonstat", None),
    f"duplicity-inc.{T1}.to.{T2}.receipt.json": (INC, "receipt", None),
    f"duplicity-inc.{T1}.to.{T2}.receipt.json.p7s": (INC, "receipt-signature", None),
    f"sysupgrade-full.{T1}.tar.gz.p7m": (SetKey("sysupgrade", T1, "full"), "stream", None),
    f"mtd-full.{T1}.img.p7m": (SetKey("mtd", T1, "full"), "stream", None),
    f"zroot-full.{T1}.zfs.p7m": (SetKey("zroot", T1, "full"), "stream", None),
    f"zroot-inc.{T1}.zfs.p7m": (SetKey("zroot", T1, "inc"), "stream", None),
    f"conf-full.{T1}.tar.p7m": (SetKey("conf", T1, "full"), "stream", None),
    f"conf-full.{T1}.volumes.tar.p7m": (SetKey("conf", T1, "full"), "stream", None),
    f"zroot-full.{T1}.vol1.zfs.p7m": (SetKey("zroot", T1, "full"), "volume", 1),
    f"zroot-inc.{T1}.vol12.zfs.zst.p7m": (SetKey("zroot", T1, "inc"), "volume", 12),
    f"conf-full.{T1}.receipt.json": (SetKey("conf", T1, "full"), "receipt", None),
    f"conf-inc.{T1}.receipt.json": (SetKey("conf", T1, "inc"), "receipt", None),
    f"conf-full.{T1}.receipt.json.p7s": (SetKey("conf", T1, "full"), "receipt-signature", None),
    f"db_2-full.{T1}.sql.p7m": (SetKey("db_2", T1, "full"), "stream", None),
    f"{'k' * 32}-full.{T1}.img.p7m": (SetKey("k" * 32, T1, "full"), "stream", None),
    f"conf-full.{T1}.{'x' * (200 - 31)}.p7m": (SetKey("conf", T1, "full"), "stream", None),
}


@pytest.mark.parametrize("name", ALLOWED)
def test_every_allowed_form_says_what_it_is(name: str) -> None:
    parsed = parse_name(name)
    assert parsed is not None
    assert parsed.name == name
    assert (parsed.set, parsed.part, parsed.volume) == ALLOWED[name]
    assert parsed.sealed == (".receipt.json" not in name)


def full(rest: str, kind: str = "conf") -> str:
    return f"{kind}-full.{T1}.{rest}"


REFUSED = {
    "nothing": "",
    "another name": "notes.txt",
    "a hidden file": f".{full('tar.p7m')}",
    "month 13": f"conf-full.{'20261332T030405Z'}.tar.p7m",
    "30 February": "conf-full.20260230T030405Z.tar.p7m",
    "29 February of another year": "conf-full.20270229T030405Z.tar.p7m",
    "year 0": "conf-full.00000101T000000Z.tar.p7m",
    "month 0": "conf-full.20260001T000000Z.tar.p7m",
    "hour 24": "conf-full.20260101T240000Z.tar.p7m",
    "minute 60": "conf-full.20260101T236000Z.tar.p7m",
    "second 60": "conf-full.20261231T235960Z.tar.p7m",
    "second 61": "conf-full.20261231T235961Z.tar.p7m",
    "no Z": "conf-full.20260102T030405.tar.p7m",
    "a space in the time": "conf-full.20260102T 30405Z.tar.p7m",
    "other digits": "conf-full.２０２６0102T030405Z.tar.p7m",
    "a bad end of an incremental": f"duplicity-inc.{T1}.to.20261332T030405Z.manifest.p7m",
    "a bad start of an incremental": f"duplicity-inc.20261332T030405Z.to.{T2}.manifest.p7m",
    "a bad time of signatures": "duplicity-full-signatures.20261332T030405Z.sigtar.p7m",
    "a bad end of signatures": f"duplicity-new-signatures.{T1}.to.20261332T030405Z.sigtar.p7m",
    "up": "..",
    "here": ".",
    "up and away": f"../{full('tar.p7m')}",
    "a path": f"web1/{full('tar.p7m')}",
    "a slash within": full("ta/r.p7m"),
    "an escaped slash": full("ta%2fr.p7m"),
    "a backslash": full("ta\\r.p7m"),
    "two dots": full("tar..gz.p7m"),
    "a newline at the end": f"{full('tar.p7m')}\n",
    "a newline within": full("ta\nr.p7m"),
    "a NUL": f"{full('tar.p7m')}\0",
    "a space at the end": f"{full('tar.p7m')} ",
    "a space in front": f" {full('tar.p7m')}",
    "an escape": full("\x1b[31m.p7m"),
    "upper case in the kind": full("tar.p7m", "Conf"),
    "upper case in the extension": full("TAR.p7m"),
    "upper case in the suffix": full("tar.P7M"),
    "upper case in duplicity's words": f"duplicity-full.{T1}.vol1.DIFFTAR.p7m",
    "a letter that is not ASCII": full("tär.p7m"),
    "a letter that folds to ASCII": full("tar.p7m", "ſonf"),
    "an octet that is not UTF-8": full("t\udcffr.p7m"),
    "a hyphen in the kind": full("tar.p7m", "db-2"),
    "a kind that begins with a digit": full("tar.p7m", "2db"),
    "a kind of 33 characters": full("tar.p7m", "k" * 33),
    "no kind": full("tar.p7m", ""),
    "another type": f"conf-diff.{T1}.tar.p7m",
    "201 octets": full(f"{'x' * (201 - 31)}.p7m"),
    "no extension": f"conf-full.{T1}.p7m",
    "plain": full("tar"),
    "partial": full("tar.p7m.part"),
    "duplicity's partial manifest": f"duplicity-full.{T1}.manifest.part",
    "duplicity's partial manifest, sealed": f"duplicity-full.{T1}.manifest.part.p7m",
    "sealed by gpg": f"duplicity-full.{T1}.vol1.difftar.gpg",
    "not sealed": f"duplicity-full.{T1}.vol1.difftar.gz",
    "bare": f"duplicity-full.{T1}.vol1.difftar",
    "a manifest that is not sealed": f"duplicity-full.{T1}.manifest",
    "volume 0": f"duplicity-full.{T1}.vol0.difftar.p7m",
    "volume 01": f"duplicity-full.{T1}.vol01.difftar.p7m",
    "volume 10000000": f"duplicity-full.{T1}.vol10000000.difftar.p7m",
    "volume without a number": f"duplicity-full.{T1}.vol.difftar.p7m",
    "volume -1": f"duplicity-full.{T1}.vol-1.difftar.p7m",
    "volume 0 of a stream": full("vol0.img.p7m"),
    "volume 01 of a stream": full("vol01.img.p7m"),
    "volume 10000000 of a stream": full("vol10000000.img.p7m"),
    "two volumes": full("vol1.vol2.img.p7m"),
    "a volume without an extension": full("vol1.p7m"),
    "duplicity with another extension": full("tar.p7m", "duplicity"),
    "duplicity's volume with another extension": full("vol1.tar.p7m", "duplicity"),
    "duplicity's volume with one extension more": full("vol1.difftar.gz.p7m", "duplicity"),
    "duplicity's volume without a number": full("difftar.p7m", "duplicity"),
    "duplicity's signatures as a volume": full("sigtar.p7m", "duplicity"),
    "another kind with difftar volumes": full("vol1.difftar.p7m"),
    "another kind with a manifest": full("manifest.p7m"),
    "another kind with a supplement": full("supplement.p7m"),
    "another kind with a jsonstat": full("jsonstat.p7m"),
    "another kind with signatures": f"conf-full-signatures.{T1}.sigtar.p7m",
    "another kind that names its base": f"zroot-inc.{T1}.to.{T2}.zfs.p7m",
    "an incremental without its base": f"duplicity-inc.{T2}.vol1.difftar.p7m",
    "an incremental's receipt without its base": f"duplicity-inc.{T2}.receipt.json",
    "a full with a base": f"duplicity-full.{T1}.to.{T2}.vol1.difftar.p7m",
    "new signatures without a base": f"duplicity-new-signatures.{T2}.sigtar.p7m",
    "full signatures with a base": f"duplicity-full-signatures.{T1}.to.{T2}.sigtar.p7m",
    "signatures with another extension": f"duplicity-full-signatures.{T1}.difftar.p7m",
    "incremental signatures": f"duplicity-inc-signatures.{T1}.to.{T2}.sigtar.p7m",
    "a base and no end": f"duplicity-inc.{T1}.to.manifest.p7m",
    "a receipt of nothing": "receipt.json",
    "a receipt that is sealed and duplicity's": f"duplicity-full.{T1}.receipt.json.p7m",
    "a receipt's other signature": f"duplicity-full.{T1}.receipt.json.sig",
    "a signature of a volume": f"duplicity-full.{T1}.vol1.difftar.p7m.p7s",
}


@pytest.mark.parametrize("why", REFUSED)
def test_every_other_name_is_refused(why: str) -> None:
    assert parse_name(REFUSED[why]) is None


def test_the_longest_name_is_in_both_tables() -> None:
    assert max(map(len, ALLOWED)) == MAX_NAME_LENGTH == 200
    assert len(REFUSED["201 octets"]) == 201


TIMES = st.datetimes(datetime(1000, 1, 1), datetime(9999, 12, 31)).map(
    lambda when: format_time(when.replace(tzinfo=UTC))
)
KINDS = st.from_regex(re.compile(r"[a-z][a-z0-9_]{0,31}", re.ASCII), fullmatch=True).filter(
    lambda kind: kind != "duplicity"
)
KEYS = st.one_of(
    st.builds(SetKey, st.just("duplicity"), TIMES, st.just("full"), st.just("")),
    st.builds(SetKey, st.just("duplicity"), TIMES, st.just("inc"), TIMES),
    st.builds(SetKey, KINDS, TIMES, st.sampled_from(["full", "inc"]), st.just("")),
)


@BOUNDED
@given(KEYS)
def test_the_names_that_a_set_gives_are_names_of_that_set(key: SetKey) -> None:
    names = {"receipt": key.receipt_name}
    if key.kind == "duplicity":
        names |= {
            "supplement": key.supplement_name,
            "manifest": key.manifest_name,
            "signatures": key.signatures_name,
        }
    for part, name in names.items():
        parsed = parse_name(name)
        assert parsed is not None
        assert (parsed.set, parsed.part, parsed.volume) == (key, part, None)


@BOUNDED
@given(KEYS, st.integers(1, 9_999_999))
def test_a_volume_keeps_its_number(key: SetKey, number: int) -> None:
    extension = "difftar" if key.kind == "duplicity" else "img"
    parsed = parse_name(f"{key.stem}.vol{number}.{extension}.p7m")
    assert parsed is not None
    assert (parsed.set, parsed.part, parsed.volume) == (key, "volume", number)


@BOUNDED
@given(st.sampled_from(sorted(ALLOWED)), st.data())
def test_a_name_that_is_allowed_is_plain(name: str, data: st.DataObject) -> None:
    """Whatever is done to a name: what the pattern then still lets pass can hurt nobody."""
    characters = st.sampled_from("/\\\0\n\r %.:~-_aAäZ019\x1b\u202e\udcff'\"$`")
    at = data.draw(st.integers(0, len(name)))
    changed = name[:at] + data.draw(st.text(characters, max_size=3)) + name[at + 1 :]
    if parse_name(changed) is not None:
        assert re.fullmatch(r"[a-z0-9_]+-[a-zA-Z0-9.-]+", changed, re.ASCII)
        assert ".." not in changed
        assert len(changed.encode()) <= MAX_NAME_LENGTH


@BOUNDED
@given(st.datetimes(datetime(1000, 1, 1), datetime(9999, 12, 31)))
def test_times_are_read_as_they_are_written(when: datetime) -> None:
    aware = when.replace(microsecond=0, tzinfo=UTC)
    assert parse_time(format_time(aware)) == aware


@pytest.mark.parametrize("host", ["web1", "a", "7", "fw.example.org", "a-b_c", "x" * 63, "a--b"])
def test_hosts(host: str) -> None:
    assert is_host_name(host)


@pytest.mark.parametrize(
    "host",
    ["", ".", "..", "a..b", ".a", "a.", "-a", "a-", "A", "a/b", "a\n", "ä", "x" * 64, "a b", "a\0", "_a"],
)
def test_no_hosts(host: str) -> None:
    assert not is_host_name(host)
