"""Tar files as duplicity makes and reads them, without what tarfile does beyond that.

tarfile takes 50 us to make a header and as long to read one, in Python, and a backup has two for each
file. Here each takes about 5, because only what is usual is dealt with: regular files, folders and
symbolic links with short names. Everything else is left to tarfile.
"""

import os
import struct
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from io import BufferedReader, BytesIO, RawIOBase
from typing import IO, Any, Final, Protocol
from zlib import adler32

BLOCK: Final = 512
LONGEST_NAME: Final = 100
"""Octets of a path, or of a link's target, that a plain header has room for."""

_LONGEST_OWNER: Final = 32
_ADLER_MODULUS: Final = 65521
_FIELDS: Final = struct.Struct("100s8s8s8s12s12s8s1s100s8s32s32s16s155s12x")
_MAGIC: Final = b"ustar\x0000"
_END: Final = bytes(BLOCK)
_NO_SUM: Final = b"        "
_USUAL: Final = (tarfile.REGTYPE, tarfile.DIRTYPE, tarfile.SYMTYPE)
_EMPTY: Final = (tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE)
_EXTENDED: Final = b"xgXLK"
_EXTENDED_NAME: Final = b"././@PaxHeader"
_KIND: Final = 156
_SIZE: Final = slice(124, 136)
_LONGEST_EXTENSION: Final = 1024 * 1024
_READ: Final = 256 * 1024
_REMEMBERED: Final = 1024
_SENSELESS: Final = "a header in it makes no sense"


class Readable(Protocol):
    """Where a tar file comes from."""

    def read(self, octets: int, /) -> bytes:
        """At most so many octets; b"" at the end."""
        ...


@dataclass(slots=True)
class Member:
    """What is in a header, under the names that tarfile.TarInfo has for it."""

    name: str
    type: bytes
    mode: int
    uid: int
    gid: int
    size: int
    mtime: int
    linkname: str
    uname: str
    gname: str

    def isdir(self) -> bool:
        """Whether it is a folder."""
        return self.type == tarfile.DIRTYPE


Owner = tuple[bytes, bytes, bytes, bytes]
"""An owner as four fields of a header: the numbers of user and group, and their names."""


_NOBODY: Final[Owner] = (b"0000000", b"0000000", b"", b"")


def plain_owner(uid: int, gid: int, user: str, group: str) -> Owner | None:
    """The fields for an owner; None if a plain header has no room for them."""
    plain = all(len(name) <= _LONGEST_OWNER and name.isascii() for name in (user, group))
    if not plain or not 0 <= uid < 8**7 or not 0 <= gid < 8**7:
        return None
    return b"%07o" % uid, b"%07o" % gid, user.encode(), group.encode()


def plain_header(
    name: bytes, kind: bytes, owner: Owner, *, mode: int, size: int, modified: int, link: bytes
) -> bytes | None:
    """A header as tarfile makes it; None if it takes more than a plain one, and one for a long name.

    `kind` is one of tarfile's types, `modified` in epoch seconds, `link` a symbolic link's target.
    """
    if (
        kind not in _USUAL
        or len(link) > LONGEST_NAME
        or not name.isascii()
        or not link.isascii()
        or not 0 <= modified < 8**11
        or not 0 <= size < 8**11
    ):
        return None
    header = _header(name, kind, owner, mode, size, modified, link)
    if len(name) <= LONGEST_NAME:
        return header
    record = _path_record(name)
    extended = _header(_EXTENDED_NAME, tarfile.XHDTYPE, _NOBODY, 0, len(record), 0, b"")
    return b"%b%b%b%b" % (extended, record, bytes(-len(record) % BLOCK), header)


def _path_record(name: bytes) -> bytes:
    """The record of a name that is too long (POSIX.1-2001, pax): it begins with its own length."""
    rest = b" path=%b\n" % name
    length = len(rest) + len(str(len(rest)))
    return b"%d%b" % (len(rest) + len(str(length)), rest)


def _header(  # noqa: PLR0917
    name: bytes, kind: bytes, owner: Owner, mode: int, size: int, modified: int, link: bytes
) -> bytes:
    uid, gid, user, group = owner
    header = _FIELDS.pack(
        *(name, b"%07o" % mode, uid, gid, b"%011o" % size, b"%011o" % modified, _NO_SUM, kind, link),
        *(_MAGIC, user, group, b"", b""),
    )
    # Adler-32 holds the sum of all octets, plus one; 512 of ASCII do not reach its modulus.
    return b"%b%06o\0%b" % (header[:148], (adler32(header) & 0xFFFF) - 1, header[155:])


class Reader:
    """Reads a tar file from beginning to end; stands for a TarFile to whoever does no more with one.

    A member's content can be had until the next member is asked for. `whole` is whether it was read to
    its end, and that is one: a block of zeros, and not octets that are no header, or none at all.
    """

    def __init__(self, file: Readable) -> None:
        self._file = file
        self._buffer = b""
        self._at = 0
        self._left = 0
        self._padding = 0
        self.whole = False

    def __iter__(self) -> Iterator[Member | tarfile.TarInfo]:
        """Each member; as tarfile does, up to where there is no header. ReadError for nonsense."""
        while True:
            while self._left:
                self.content(_READ)
            header = self._read(self._padding + BLOCK)[self._padding :]
            try:
                found = _parsed(header) or self._unusual(header)
            except (tarfile.HeaderError, ValueError, IndexError) as error:
                raise tarfile.ReadError(_SENSELESS) from error
            if found is None:
                self.whole = header == _END
                return
            if found.size < 0:
                # The next header would be this one, again and again.
                raise tarfile.ReadError(_SENSELESS)
            self._left = 0 if found.type in _EMPTY else found.size
            self._padding = -self._left % BLOCK
            yield found

    def extractfile(self, member: Member | tarfile.TarInfo) -> IO[bytes]:
        """The content of the member that was given last."""
        if member.size <= _READ:
            return BytesIO(self.content(member.size))
        return BufferedReader(_Content(self))

    def content(self, octets: int) -> bytes:
        """So many octets more of the last member's content, fewer at its end; ReadError if cut off."""
        wanted = min(octets, self._left)
        piece = self._read(wanted)
        if len(piece) < wanted:
            raise tarfile.ReadError("unexpected end of data")
        self._left -= wanted
        return piece

    def close(self) -> None:
        """There is nothing to close: whoever opened the file does that."""

    def _read(self, octets: int) -> bytes:
        end = self._at + octets
        if end > len(self._buffer):
            parts = [self._buffer[self._at :]]
            lacking = octets - len(parts[0])
            while lacking > 0 and (more := self._file.read(_READ)):
                parts.append(more)
                lacking -= len(more)
            self._buffer = b"".join(parts)
            self._at, end = 0, octets
        piece = self._buffer[self._at : end]
        self._at = end
        return piece

    def _unusual(self, header: bytes) -> Member | tarfile.TarInfo | None:
        """What is no plain header, together with what precedes it if it is an extended one."""
        octets = header
        while len(header) == BLOCK and header[_KIND] in _EXTENDED:
            size = tarfile.nti(header[_SIZE])  # type: ignore[attr-defined]
            if not 0 <= size <= _LONGEST_EXTENSION or len(octets) > _LONGEST_EXTENSION:
                return None
            extension = self._read(size + -size % BLOCK)
            header = self._read(BLOCK)
            if len(octets) == BLOCK and (name := _only_path(extension[:size])):
                member = _parsed(header)
                if member is not None:
                    member.name = os.fsdecode(name).rstrip("/")
                    return member
            octets += extension + header
        try:
            with tarfile.TarFile(fileobj=BytesIO(octets)) as archive:
                return archive.next()
        except tarfile.ReadError:
            return None


class _Content(RawIOBase):
    """The content of one member, which is not read before it is wanted."""

    def __init__(self, reader: Reader) -> None:
        super().__init__()
        self._reader = reader

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        piece = self._reader.content(len(buffer))
        buffer[: len(piece)] = piece
        return len(piece)


def _parsed(header: bytes) -> Member | None:
    """What is in a plain header; None if it is none, or none that is usual."""
    if len(header) < BLOCK:
        return None
    name, mode, uid, gid, size, modified, total, kind, link, magic, user, group, _numbers, prefix = (
        _FIELDS.unpack(header)
    )
    if kind not in _USUAL or magic != _MAGIC or prefix[0]:
        return None
    try:
        # What Adler-32 knows of the sum of all octets, if those of the sum itself were spaces.
        found = (adler32(header) & 0xFFFF) - 1 - sum(total) + sum(_NO_SUM)
        if (found - _octal(total)) % _ADLER_MODULUS:
            return None
        owner, owner_group, user_name, group_name = _owner(uid, gid, user, group)
        numbers = _mode(mode), owner, owner_group, _octal(size), _octal(modified)
    except ValueError:
        return None
    text = _text(name)
    if kind == tarfile.DIRTYPE:
        text = text.rstrip("/")
    return Member(text, kind, *numbers, _text(link) if link[0] else "", user_name, group_name)


@lru_cache(_REMEMBERED)
def _owner(uid: bytes, gid: bytes, user: bytes, group: bytes) -> tuple[int, int, str, str]:
    return _octal(uid), _octal(gid), _text(user), _text(group)


def _only_path(records: bytes) -> bytes:
    """The name in an extended header that holds nothing else, in ASCII; else b""."""
    name = records.partition(b"=")[2][:-1]
    return name if name.isascii() and records == _path_record(name) else b""


def _octal(field: bytes) -> int:
    digits = field.rstrip(b" \0")
    if not digits.isdigit():
        # Python's own would take a sign, spaces and underscores.
        raise ValueError(field)
    return int(digits, 8)


# There are few modes and owners in a backup, and many files.
_mode = lru_cache(_REMEMBERED)(_octal)


def _text(field: bytes) -> str:
    return os.fsdecode(field.partition(b"\0")[0])
