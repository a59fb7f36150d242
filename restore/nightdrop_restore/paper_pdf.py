"""The paper of a key as a PDF, for a machine without a browser: A4, black on white.

All text is in Courier, which every reader and printer has and whose characters are all 0.6 of their size
wide. So nothing is embedded, and what is too long for a line is known by counting. Lengths are points
(1/72 inch), from the lower left corner of a page (ISO 32000-1, 8.3.2.3).
"""

import re
import textwrap
from collections.abc import Sequence
from io import BytesIO
from typing import Final

import pydyf
import segno

from nightdrop_restore.paper_content import (
    TITLE,
    Block,
    Code,
    Codes,
    Commands,
    Facts,
    Heading,
    Lines,
    Paper,
    Steps,
    Words,
)

_PAGE: Final = (595.28, 841.89)
_MARGIN: Final = 40.0
_WIDTH: Final = _PAGE[0] - 2 * _MARGIN
_FOOT: Final = 24.0
_LEADING: Final = 1.32

_TEXT: Final = 9.0
_TYPED: Final = 10.0
_COMMAND: Final = 7.6

_INDENT: Final = 20.0
_FACT: Final = 80.0
_GROUP: Final = 5  # lines that the eye keeps together
_ABREAST: Final = 3
_GUTTER: Final = 24.0
_QUIET: Final = 3  # modules around a code that stay white, besides the gutter
_SIDE: Final = (_WIDTH - (_ABREAST - 1) * _GUTTER) / _ABREAST

# A word, with all of the code between backquotes that begins or ends in it.
_WORD: Final = re.compile(r"(?:`[^`]*`|[^\s`])+")


def to_pdf(paper: Paper) -> bytes:
    """The pages."""
    sheets = _Sheets()
    sheets.write(TITLE, 17, bold=True)
    for block in paper.blocks:
        _draw(sheets, block)
    return sheets.finish(f"Private key: {paper.name}")


class _Sheets:
    """Pages that are written from top to bottom."""

    def __init__(self) -> None:
        self._pages: list[pydyf.Stream] = []
        self.turn()

    def turn(self) -> None:
        """Begin a page."""
        self.page = pydyf.Stream(compress=True)
        self.page.set_line_width(0.6)
        self._pages.append(self.page)
        self.top = _PAGE[1] - _MARGIN

    def keep(self, height: float) -> None:
        """Begin a page unless as much is left of this one."""
        if self.top - height < _MARGIN + _FOOT:
            self.turn()

    def skip(self, height: float) -> None:
        """Leave room."""
        self.top -= height

    def write(self, line: str, size: float, left: float = 0, *, bold: bool = False) -> None:
        """A line of text."""
        self.keep(size * _LEADING)
        self.skip(size * _LEADING)
        _show(self.page, line, size, _MARGIN + left, self.top + 0.3 * size, bold=bold)

    def finish(self, title: str) -> bytes:
        """The document, with the pages numbered."""
        pdf = pydyf.PDF()
        pdf.info["Title"] = pydyf.String(title)
        fonts = pydyf.Dictionary()
        for letter, name in (("R", "Courier"), ("B", "Courier-Bold")):
            font = _font(name)
            pdf.add_object(font)
            fonts[letter] = font.reference
        for number, page in enumerate(self._pages, 1):
            count = f"page {number} of {len(self._pages)}"
            room = _columns(_WIDTH, _TEXT) - len(count) - 2
            _show(page, textwrap.shorten(title, room, placeholder=" ..."), _TEXT, _MARGIN, _MARGIN)
            _show(page, count, _TEXT, _PAGE[0] - _MARGIN - _length(count, _TEXT), _MARGIN)
            pdf.add_object(page)
            pdf.add_page(
                pydyf.Dictionary(
                    {
                        "Type": "/Page",
                        "Parent": pdf.pages.reference,
                        "MediaBox": pydyf.Array([0, 0, *_PAGE]),
                        "Resources": pydyf.Dictionary({"Font": fonts}),
                        "Contents": page.reference,
                    }
                )
            )
        octets = BytesIO()
        pdf.write(octets)
        return octets.getvalue()


def _draw(sheets: _Sheets, block: Block) -> None:
    match block:
        case Heading(text, new_page):
            _heading(sheets, text, new_page=new_page)
        case Words(text):
            _words(sheets, text, 0)
            sheets.skip(6)
        case Commands(text):
            _commands(sheets, text, 0)
        case Facts(rows):
            for name, value in rows.items():
                _fact(sheets, name, value)
        case Steps(steps):
            for number, step in enumerate(steps, 1):
                _step(sheets, number, step)
        case Codes(codes):
            for at in range(0, len(codes), _ABREAST):
                _row(sheets, codes[at : at + _ABREAST])
        case Lines(lines):
            for at in range(0, len(lines), _GROUP):
                _group(sheets, lines[at : at + _GROUP])


def _heading(sheets: _Sheets, text: str, *, new_page: bool) -> None:
    if new_page:
        sheets.turn()
    else:
        sheets.skip(10)
        sheets.keep(70)  # not the last thing on a page
    sheets.write(text, 12, bold=True)
    sheets.page.move_to(_MARGIN, sheets.top)
    sheets.page.line_to(_PAGE[0] - _MARGIN, sheets.top)
    sheets.page.stroke()
    sheets.skip(6)


def _fact(sheets: _Sheets, name: str, value: str) -> None:
    for number, line in enumerate(textwrap.wrap(value, _columns(_WIDTH - _FACT, _TEXT))):
        sheets.write(line, _TEXT, _FACT)
        if number == 0:
            _show(sheets.page, name, _TEXT, _MARGIN, sheets.top + 0.3 * _TEXT)


def _step(sheets: _Sheets, number: int, step: Sequence[Words | Commands]) -> None:
    sheets.keep(3 * _TEXT * _LEADING)
    _show(sheets.page, f"{number}.", _TEXT, _MARGIN, sheets.top - _TEXT * (_LEADING - 0.3))
    for part in step:
        match part:
            case Words(text):
                _words(sheets, text, _INDENT)
            case Commands(text):
                _commands(sheets, text, _INDENT)
    sheets.skip(5)


def _words(sheets: _Sheets, text: str, left: float) -> None:
    """A paragraph, its code in bold and never broken."""
    room = _columns(_WIDTH - left, _TEXT)
    line = ""
    for word in _WORD.findall(text):
        longer = f"{line} {word}" if line else word
        if line and len(longer.replace("`", "")) > room:
            _mixed(sheets, line, left)
            longer = word
        line = longer
    _mixed(sheets, line, left)


def _mixed(sheets: _Sheets, line: str, left: float) -> None:
    sheets.keep(_TEXT * _LEADING)
    sheets.skip(_TEXT * _LEADING)
    at = _MARGIN + left
    for number, run in enumerate(line.split("`")):
        _show(sheets.page, run, _TEXT, at, sheets.top + 0.3 * _TEXT, bold=number % 2 == 1)
        at += _length(run, _TEXT)


def _commands(sheets: _Sheets, text: str, left: float) -> None:
    """Lines in a box."""
    lines, padding = text.splitlines(), 5.0
    height = len(lines) * _COMMAND * _LEADING + 2 * padding
    sheets.keep(height + 8)
    sheets.skip(4)
    sheets.page.rectangle(_MARGIN + left, sheets.top - height, _WIDTH - left, height)
    sheets.page.stroke()
    sheets.skip(padding)
    for line in lines:
        sheets.write(line, _COMMAND, left + padding)
    sheets.skip(padding + 4)


def _group(sheets: _Sheets, lines: Sequence[str]) -> None:
    sheets.keep(len(lines) * _TYPED * _LEADING)
    for line in lines:
        sheets.write(line, _TYPED)
    sheets.skip(4)


def _row(sheets: _Sheets, codes: Sequence[Code]) -> None:
    sheets.keep(_SIDE + 22)
    sheets.skip(_SIDE)
    for number, code in enumerate(codes):
        left = _MARGIN + number * (_SIDE + _GUTTER)
        _squares(sheets.page, code.code, left, sheets.top)
        middle = left + (_SIDE - _length(code.caption, _TEXT)) / 2
        _show(sheets.page, code.caption, _TEXT, middle, sheets.top - _TEXT)
    sheets.skip(22)


def _squares(page: pydyf.Stream, code: segno.QRCode, left: float, bottom: float) -> None:
    """A code, as one path, so that no reader shows seams between its squares."""
    rows = [bytes(row) for row in code.matrix]
    module = _SIDE / (len(rows) + 2 * _QUIET)
    for up, row in enumerate(reversed(rows), _QUIET):
        for dark in re.finditer(b"\x01+", row):
            across = left + (_QUIET + dark.start()) * module
            page.rectangle(across, bottom + up * module, len(dark[0]) * module, module)
    page.fill()


def _show(
    page: pydyf.Stream, text: str, size: float, left: float, base: float, *, bold: bool = False
) -> None:
    page.begin_text()
    page.set_font_size("B" if bold else "R", size)
    page.move_text_to(left, base)
    # Courier has the letters of western Europe; of others, their numbers are shown.
    page.show_text_string(text.encode("cp1252", "backslashreplace"))
    page.end_text()


def _font(name: str) -> pydyf.Dictionary:
    return pydyf.Dictionary(
        {"Type": "/Font", "Subtype": "/Type1", "BaseFont": f"/{name}", "Encoding": "/WinAnsiEncoding"}
    )


def _length(text: str, size: float) -> float:
    return 0.6 * size * len(text)


def _columns(width: float, size: float) -> int:
    """How many characters fit."""
    return int(width / (0.6 * size))
