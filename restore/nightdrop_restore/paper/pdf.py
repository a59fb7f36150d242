"""The paper of a key as a PDF, for a machine without a browser."""

import re
import textwrap
from collections.abc import Sequence
from typing import Final

import pydyf
import segno

from nightdrop_restore.paper import blocks
from nightdrop_restore.paper.content import TITLE, Paper
from nightdrop_restore.paper.sheets import LEADING, MARGIN, WIDTH, Sheets, columns, courier, length

_TEXT: Final = 9.0
_TYPED: Final = 10.0
_COMMAND: Final = 7.6

_INDENT: Final = 20.0
_FACT: Final = 80.0
_GROUP: Final = 5  # lines that the eye keeps together
_ABREAST: Final = 3
_GUTTER: Final = 24.0
_QUIET: Final = 3  # modules around a code that stay white, besides the gutter
_SIDE: Final = (WIDTH - (_ABREAST - 1) * _GUTTER) / _ABREAST

# A word, with all of the code between backquotes that begins or ends in it.
_WORD: Final = re.compile(r"(?:`[^`]*`|[^\s`])+")


def to_pdf(paper: Paper) -> bytes:
    """The pages."""
    sheets = Sheets()
    sheets.write(TITLE, 17, bold=True)
    for block in paper.blocks:
        _draw(sheets, block)
    return sheets.finish(f"Private key: {paper.name}")


def _draw(sheets: Sheets, block: blocks.Block) -> None:
    match block:
        case blocks.Heading(text, new_page):
            _heading(sheets, text, new_page=new_page)
        case blocks.Words(text):
            _words(sheets, text, 0)
            sheets.skip(6)
        case blocks.Commands(text):
            _commands(sheets, text, 0)
        case blocks.Facts(rows):
            for name, value in rows.items():
                _fact(sheets, name, value)
        case blocks.Steps(steps):
            for number, step in enumerate(steps, 1):
                _step(sheets, number, step)
        case blocks.Codes(codes):
            for at in range(0, len(codes), _ABREAST):
                _row(sheets, codes[at : at + _ABREAST])
        case blocks.Lines(lines):
            for at in range(0, len(lines), _GROUP):
                _group(sheets, lines[at : at + _GROUP])


def _heading(sheets: Sheets, text: str, *, new_page: bool) -> None:
    if new_page:
        sheets.turn()
    else:
        sheets.skip(10)
        sheets.keep(70)  # not the last thing on a page
    sheets.write(text, 12, bold=True)
    sheets.page.move_to(MARGIN, sheets.top)
    sheets.page.line_to(MARGIN + WIDTH, sheets.top)
    sheets.page.stroke()
    sheets.skip(6)


def _fact(sheets: Sheets, name: str, value: str) -> None:
    for number, line in enumerate(textwrap.wrap(courier(value), columns(WIDTH - _FACT, _TEXT))):
        sheets.write(line, _TEXT, _FACT)
        if number == 0:
            sheets.put(name, _TEXT, 0)


def _step(sheets: Sheets, number: int, step: Sequence[blocks.Words | blocks.Commands]) -> None:
    sheets.keep(3 * _TEXT * LEADING)
    sheets.put(f"{number}.", _TEXT, 0, down=_TEXT * LEADING)
    for part in step:
        match part:
            case blocks.Words(text):
                _words(sheets, text, _INDENT)
            case blocks.Commands(text):
                _commands(sheets, text, _INDENT)
    sheets.skip(5)


def _words(sheets: Sheets, text: str, left: float) -> None:
    """A paragraph, its code in bold and never broken."""
    room = columns(WIDTH - left, _TEXT)
    line = ""
    for word in _WORD.findall(text):
        longer = f"{line} {word}" if line else word
        if line and len(longer.replace("`", "")) > room:
            _mixed(sheets, line, left)
            longer = word
        line = longer
    _mixed(sheets, line, left)


def _mixed(sheets: Sheets, line: str, left: float) -> None:
    sheets.keep(_TEXT * LEADING)
    sheets.skip(_TEXT * LEADING)
    for number, run in enumerate(line.split("`")):
        sheets.put(run, _TEXT, left, bold=number % 2 == 1)
        left += length(run, _TEXT)


def _commands(sheets: Sheets, text: str, left: float) -> None:
    """Lines in a box."""
    lines, padding = text.splitlines(), 5.0
    height = len(lines) * _COMMAND * LEADING + 2 * padding
    sheets.keep(height + 8)
    sheets.skip(4)
    sheets.page.rectangle(MARGIN + left, sheets.top - height, WIDTH - left, height)
    sheets.page.stroke()
    sheets.skip(padding)
    for line in lines:
        sheets.write(line, _COMMAND, left + padding)
    sheets.skip(padding + 4)


def _group(sheets: Sheets, lines: Sequence[str]) -> None:
    sheets.keep(len(lines) * _TYPED * LEADING)
    for line in lines:
        sheets.write(line, _TYPED)
    sheets.skip(4)


def _row(sheets: Sheets, codes: Sequence[blocks.Code]) -> None:
    sheets.keep(_SIDE + 22)
    sheets.skip(_SIDE)
    for number, code in enumerate(codes):
        left = number * (_SIDE + _GUTTER)
        _squares(sheets.page, code.code, MARGIN + left, sheets.top)
        middle = left + (_SIDE - length(code.caption, _TEXT)) / 2
        sheets.put(code.caption, _TEXT, middle, down=_TEXT * LEADING)
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
