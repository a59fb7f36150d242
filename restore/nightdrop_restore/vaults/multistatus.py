"""Reading what a mirror lists (RFC 4918, 14.16: the answer to a PROPFIND), as it comes, in bounds."""

from typing import Final
from urllib.parse import unquote, urlsplit
from xml.parsers import expat

_MOST_LISTED: Final = 1_000_000


class Listing:
    """The answer about a folder at the path `base`; `found` are the names in it with their sizes, -1 for
    what has none.

    `feed` and `end` raise ExpatError or ValueError for what is no such answer.
    """

    def __init__(self, base: str) -> None:
        self.found: list[tuple[str, int]] = []
        self._base = base
        self._href = ""
        self._length = -1
        self._text: list[str] | None = None
        self._parser = expat.ParserCreate(namespace_separator=" ")
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        self._parser.CharacterDataHandler = self._characters
        # Without a document type there are no entities, and nothing can swell.
        self._parser.StartDoctypeDeclHandler = self._refuse

    def feed(self, octets: bytes) -> None:
        """Read on."""
        self._parser.Parse(octets, False)

    def end(self) -> None:
        """That was all."""
        self._parser.Parse(b"", True)

    def _start(self, name: str, _attributes: dict[str, str]) -> None:
        if name == "DAV: response":
            self._href, self._length = "", -1
        elif name in ("DAV: href", "DAV: getcontentlength"):
            self._text = []

    def _end(self, name: str) -> None:
        text = "".join(self._text or ()).strip()
        if name == "DAV: href" and self._text is not None:
            self._href = text
        elif name == "DAV: getcontentlength" and text.isascii() and text.isdecimal():
            self._length = min(int(text[:19]), 2**63 - 1)
        elif name == "DAV: response":
            self._take()
        if name in ("DAV: href", "DAV: getcontentlength"):
            self._text = None

    def _take(self) -> None:
        folder, _, name = unquote(urlsplit(self._href).path).rstrip("/").rpartition("/")
        if folder != self._base or not name:
            return
        if len(self.found) == _MOST_LISTED:
            raise ValueError("it lists more than any folder holds")
        self.found.append((name, self._length))

    def _characters(self, text: str) -> None:
        if self._text is not None:
            if sum(map(len, self._text)) + len(text) > 4096:
                raise ValueError("a name in it is longer than any can be")
            self._text.append(text)

    def _refuse(self, *_words: object) -> None:
        raise ValueError("it has a document type")
