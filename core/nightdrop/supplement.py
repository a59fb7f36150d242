"""The supplement: what duplicity does not keep of a source (FORMAT.md, "Supplement").

duplicity stores each name of a hard-linked file as a file of its own and fills the holes of sparse
files. A set's supplement says which names were one file and which files had holes, so that restoring
can make them so again. Paths are octets; JSON cannot hold those, so they stand percent-encoded.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO, Final, NamedTuple
from urllib.parse import quote_from_bytes, unquote_to_bytes

from nightdrop.errors import NightdropError

FORMAT: Final = "nightdrop-supplement/1"

_UNREADABLE: Final = "this supplement cannot be read"
_LISTS: Final = ("hard_links", "sparse")
_SPACE: Final = " \t\r\n"
_TOKEN: Final = re.compile(
    r"[ \t\r\n]*(?:"
    r'"((?:[^"\\\x00-\x1f]|\\.)*)"'
    r"|([][{}:,]|-?[0-9][0-9.eE+-]*|true|false|null)"
    r")[ \t\r\n]*"
)
_PIECE: Final = 64 * 1024
_LONGEST_TOKEN: Final = 1024 * 1024
"""Octets of the longest token that is read: a path is not that long."""


@dataclass(frozen=True)
class Supplement:
    """Paths below the root that was backed up, without a slash in front: groups of names that were
    one file, and files that had holes.
    """

    hard_links: tuple[tuple[bytes, ...], ...]
    sparse: tuple[bytes, ...]

    def __bool__(self) -> bool:
        return bool(self.hard_links or self.sparse)

    def to_bytes(self) -> bytes:
        """The supplement as it is sealed: JSON, ASCII."""
        fields = {
            "format": FORMAT,
            "hard_links": [[quote_from_bytes(path) for path in group] for group in self.hard_links],
            "sparse": [quote_from_bytes(path) for path in self.sparse],
        }
        return (json.dumps(fields, indent=0) + "\n").encode()


class Entry(NamedTuple):
    """A path in a supplement: of the group of names with this number, or with None, of a sparse file."""

    group: int | None
    path: bytes


def read_supplement(file: BinaryIO) -> Iterator[Entry]:
    """What is in a supplement, in its order, in constant memory: it comes from the host, and may be long.

    NightdropError if it is none. By then, some of it may have been given.
    """
    tokens = _tokens(file)
    lacking = {"format", *_LISTS}
    try:
        _expect(next(tokens), "{")
        for key in _values(tokens, "}"):
            _expect(next(tokens), ":")
            found = next(tokens)
            if isinstance(key, _Text) and key.text in lacking:
                lacking.remove(key.text)
                yield from _field(key.text, found, tokens)
            else:
                _pass_over(found, tokens)
        _expect(next(tokens), "")
    except ValueError as error:
        raise NightdropError(_UNREADABLE) from error
    if lacking:
        raise NightdropError(_UNREADABLE)


class _Text(NamedTuple):
    """A text in JSON; all that is not one is a plain str."""

    text: str


_Token = _Text | str


def _tokens(file: BinaryIO) -> Iterator[_Token]:
    """What JSON is made of, and at its end "", however often it is asked for; ValueError for no JSON."""
    rest, ended = "", False
    while not ended:
        piece = file.read(_PIECE)
        ended = not piece
        rest += piece.decode("ascii")
        at = 0
        while found := _TOKEN.match(rest, at):
            if found.end() == len(rest) and not ended:
                break
            at = found.end()
            yield _Text(_unescaped(found[1])) if found[1] is not None else found[2]
        rest = rest[at:].lstrip(_SPACE)
        if len(rest) > _LONGEST_TOKEN:
            break
    if rest:
        raise ValueError("this is no JSON")
    while True:
        yield ""


def _unescaped(text: str) -> str:
    return str(json.loads(f'"{text}"')) if "\\" in text else text


def _field(key: str, value: _Token, tokens: Iterator[_Token]) -> Iterator[Entry]:
    """What is in a field of which the first token was read."""
    if key == "format":
        if value != _Text(FORMAT):
            raise NightdropError(f"this supplement is not of the format {FORMAT}")
        return
    _expect(value, "[")
    for number, one in enumerate(_values(tokens, "]")):
        if key == "sparse":
            yield Entry(None, _path(one))
            continue
        _expect(one, "[")
        for name in _values(tokens, "]"):
            yield Entry(number, _path(name))


def _values(tokens: Iterator[_Token], closing: str) -> Iterator[_Token]:
    """The first token of each value, up to what closes a list or an object. Whoever asks for the next has
    read the rest of that value.
    """
    value = next(tokens)
    if value == closing:
        return
    while True:
        yield value
        after = next(tokens)
        if after == closing:
            return
        _expect(after, ",")
        value = next(tokens)


def _pass_over(value: _Token, tokens: Iterator[_Token]) -> None:
    """Read a value of which nobody knows what it means to its end."""
    depth = 0
    while True:
        depth += (value in ("[", "{")) - (value in ("]", "}"))
        if depth <= 0:
            return
        value = next(tokens)
        if value == "":
            raise ValueError("it ends in the middle")


def _expect(found: _Token, wanted: str) -> None:
    if found != wanted:
        raise ValueError(f"{wanted} was to come")


def _path(token: _Token) -> bytes:
    """A path out of a supplement, refused if it leads anywhere but down: it names a place to write."""
    # What is no text is "" here: no path.
    path = unquote_to_bytes(token.text if isinstance(token, _Text) else "")
    if (
        path.startswith(b"/")
        or b"\0" in path
        or not all(part not in (b"", b".", b"..") for part in path.split(b"/"))
    ):
        raise ValueError(path)
    return path
