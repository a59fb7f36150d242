"""Our tar headers are tarfile's, octet for octet, and what it reads we read alike."""

import io
import tarfile
from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.keyring import BOUNDED
from nightdrop.engine import tars

KINDS = (tarfile.REGTYPE, tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.FIFOTYPE)
names = st.text(
    st.characters(exclude_characters="\0/", codec="utf-8"), min_size=1, max_size=110
) | st.text("abc.", min_size=1, max_size=110)


@st.composite
def infos(draw: st.DrawFn) -> tarfile.TarInfo:
    info = tarfile.TarInfo(f"snapshot/{draw(names)}")
    info.type = draw(st.sampled_from(KINDS))
    if info.type == tarfile.DIRTYPE:
        info.name += "/"
    if info.type == tarfile.SYMTYPE:
        info.linkname = draw(names)
    info.mode = draw(st.integers(0, 0o7777))
    info.uid, info.gid = draw(st.integers(0, 2**32)), draw(st.integers(0, 2**21))
    info.mtime = draw(st.integers(0, 2**34))
    info.uname, info.gname = draw(st.sampled_from(["", "root", "müller", "x" * 33])), "staff"
    info.size = draw(st.integers(0, 2000)) if info.type == tarfile.REGTYPE else 0
    return info


@BOUNDED
@given(infos())
def test_a_plain_header_is_tarfiles(info: tarfile.TarInfo) -> None:
    """Or there is none, and tarfile makes it: where it takes more than a long name in ASCII."""
    theirs = info.tobuf(encoding="utf-8", errors="surrogateescape")
    owner = tars.plain_owner(info.uid, info.gid, info.uname, info.gname)
    ours = owner and tars.plain_header(
        info.name.encode(),
        info.type,
        owner,
        mode=info.mode,
        size=info.size,
        modified=int(info.mtime),
        link=info.linkname.encode(),
    )
    if len(theirs) == tars.BLOCK and info.type != tarfile.FIFOTYPE:
        assert ours == theirs
    else:
        assert ours in (None, theirs)


@pytest.mark.parametrize("length", [*range(80, 110), 980, 985, 986, 987, 988, 989, 990, 995, 3000])
def test_a_long_name_is_plain_enough(length: int) -> None:
    info = tarfile.TarInfo("x" * length)
    owner = tars.plain_owner(0, 0, "", "")
    assert owner
    ours = tars.plain_header(
        info.name.encode(), info.type, owner, mode=info.mode, size=0, modified=0, link=b""
    )
    assert ours == info.tobuf()
    assert [member.name for member in tars.Reader(io.BytesIO(info.tobuf()))] == [info.name]


@BOUNDED
@given(st.lists(st.tuples(infos(), st.booleans()), max_size=8))
def test_reads_as_tarfile_does(wanted: list[tuple[tarfile.TarInfo, bool]]) -> None:
    """Every member, and the content of those whose content is asked for."""
    packed = io.BytesIO()
    with tarfile.TarFile(fileobj=packed, mode="w") as archive:
        for number, (info, _asked) in enumerate(wanted):
            archive.addfile(info, io.BytesIO(bytes([number]) * info.size))
    reader = tars.Reader(io.BytesIO(packed.getvalue()))
    found = []
    for member, (info, asked) in zip(reader, wanted, strict=True):
        found.append(facts(member))
        if asked and info.type == tarfile.REGTYPE:
            assert reader.extractfile(member).read() == bytes([len(found) - 1]) * info.size
    with tarfile.TarFile(fileobj=io.BytesIO(packed.getvalue())) as archive:
        assert found == [facts(member) for member in archive]


def test_large_content_comes_piece_by_piece() -> None:
    packed = io.BytesIO()
    info = tarfile.TarInfo("signature/large")
    info.size = 3_000_000
    with tarfile.TarFile(fileobj=packed, mode="w") as archive:
        archive.addfile(info, io.BytesIO(b"x" * info.size))
        archive.addfile(tarfile.TarInfo("snapshot/next"))
    packed.seek(0)
    reader = tars.Reader(packed)
    members = iter(reader)
    content = reader.extractfile(next(members))
    assert content.read(1000) == b"x" * 1000
    assert packed.tell() < 1_000_000
    assert len(content.read(1_000_000)) == 1_000_000
    assert next(members).name == "snapshot/next"
    assert next(members, None) is None


def test_a_changed_header_is_none() -> None:
    info = tarfile.TarInfo("snapshot/file")
    header = bytearray(info.tobuf())
    header[0] ^= 1
    assert list(tars.Reader(io.BytesIO(bytes(header)))) == []


def test_content_that_is_cut_off_is_said_so() -> None:
    info = tarfile.TarInfo("snapshot/file")
    info.size = 2000
    reader = tars.Reader(io.BytesIO(info.tobuf() + b"x" * 1000))
    member = next(iter(reader))
    with pytest.raises(tarfile.ReadError):
        reader.extractfile(member)


def test_extensions_without_an_end_are_not_gathered() -> None:
    """Of nothing but headers that announce another one, zstd makes very little."""
    info = tarfile.TarInfo("././@PaxHeader")
    info.type, info.size = tarfile.XHDTYPE, 500_000
    one = info.tobuf() + bytes(500_000 + -500_000 % tars.BLOCK)
    endless = Endless(one)
    assert list(tars.Reader(endless)) == []
    assert endless.given < 10 * len(one)


SENSELESS = {
    "a size below zero": ({}, slice(124, 136), b"-0000001000\0"),
    "a size below zero, in binary": ({}, slice(124, 136), b"\xff" * 10 + b"\xfe\0"),
    "an extension's size": ({"comment": "x"}, slice(124, 136), b"zzzzzzzzzzz\0"),
    "a sparse file's map": ({"GNU.sparse.map": "1,x"}, None, b""),
    "a sparse file's size": ({"GNU.sparse.size": "nan"}, None, b""),
}


@pytest.mark.parametrize("what", SENSELESS)
def test_headers_without_sense_are_said_to_be_so(what: str) -> None:
    """And none leads back to where it stands, for the same member to be found for ever."""
    headers, place, octets = SENSELESS[what]
    info = tarfile.TarInfo("snapshot/file")
    info.pax_headers = headers
    packed = bytearray(info.tobuf(tarfile.PAX_FORMAT) + bytes(2 * tars.BLOCK))
    if place is not None:
        packed[place] = octets
        packed[148:156] = b" " * 8
        packed[148:156] = b"%06o\0 " % sum(packed[: tars.BLOCK])
    reader = tars.Reader(io.BytesIO(packed))
    try:
        found = list(islice(reader, 10))
    except tarfile.ReadError as error:
        assert "makes no sense" in str(error)
    else:
        # A newer tarfile takes a size below zero for no header at all: nothing comes, and it is no end.
        assert (found, reader.whole, what[:12]) == ([], False, "a size below")


class Endless:
    """The same octets, again and again."""

    def __init__(self, octets: bytes) -> None:
        self._octets = octets
        self.given = 0

    def read(self, octets: int) -> bytes:
        at = self.given % len(self._octets)
        piece = self._octets[at : at + octets]
        self.given += len(piece)
        assert self.given < 100 * len(self._octets)
        return piece


def facts(member: tars.Member | tarfile.TarInfo) -> tuple[object, ...]:
    return tuple(getattr(member, field) for field in tars.Member.__slots__)
