"""Sheets of A4 as a PDF, written from top to bottom, black on white.

All text is in Courier, which every reader and printer has and whose characters are all 0.6 of their size
wide. So nothing is embedded, and what is too long for a line is known by counting. Lengths are points
(1/72 inch), from the lower left corner of a page (ISO 32000-1, 8.3.2.3).
"""

import textwrap
from io import BytesIO
from typing import Final

import pydyf

MARGIN: Final = 40.0
PAGE: Final = (595.28, 841.89)
WIDTH: Final = PAGE[0] - 2 * MARGIN
"""Of what is between the margins."""

LEADING: Final = 1.32
"""From one line to the next, in sizes of its text."""

_LETTERS: Final = "cp1252"  # what PDF calls WinAnsiEncoding
_FOOT: Final = 24.0
_FOOT_TEXT: Final = 9.0
_BASE: Final = 0.3  # how far above a line's lower end its letters stand, in sizes of the text


class Sheets:
    """Pages that are written from top to bottom."""

    def __init__(self) -> None:
        self._pages: list[pydyf.Stream] = []
        self.turn()

    def turn(self) -> None:
        """Begin a page."""
        self.page = pydyf.Stream(compress=True)
        self.page.set_line_width(0.6)
        self._pages.append(self.page)
        self.top = PAGE[1] - MARGIN

    def keep(self, height: float) -> None:
        """Begin a page unless as much is left of this one."""
        if self.top - height < MARGIN + _FOOT:
            self.turn()

    def skip(self, height: float) -> None:
        """Leave room."""
        self.top -= height

    def write(self, line: str, size: float, left: float = 0, *, bold: bool = False) -> None:
        """A line of text."""
        self.keep(size * LEADING)
        self.skip(size * LEADING)
        self.put(line, size, left, bold=bold)

    def put(self, text: str, size: float, left: float, *, down: float = 0, bold: bool = False) -> None:
        """Text in the line just written, or so far further down."""
        _show(self.page, text, size, MARGIN + left, self.top - down + _BASE * size, bold=bold)

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
            room = columns(WIDTH, _FOOT_TEXT) - len(count) - 2
            _show(
                page, textwrap.shorten(courier(title), room, placeholder="…"), _FOOT_TEXT, MARGIN, MARGIN
            )
            _show(page, count, _FOOT_TEXT, PAGE[0] - MARGIN - length(count, _FOOT_TEXT), MARGIN)
            pdf.add_object(page)
            pdf.add_page(
                pydyf.Dictionary(
                    {
                        "Type": "/Page",
                        "Parent": pdf.pages.reference,
                        "MediaBox": pydyf.Array([0, 0, *PAGE]),
                        "Resources": pydyf.Dictionary({"Font": fonts}),
                        "Contents": page.reference,
                    }
                )
            )
        octets = BytesIO()
        pdf.write(octets)
        return octets.getvalue()


def _show(
    page: pydyf.Stream, text: str, size: float, left: float, base: float, *, bold: bool = False
) -> None:
    page.begin_text()
    page.set_font_size("B" if bold else "R", size)
    page.move_text_to(left, base)
    page.show_text_string(text.encode(_LETTERS))
    page.end_text()


def _font(name: str) -> pydyf.Dictionary:
    return pydyf.Dictionary(
        {"Type": "/Font", "Subtype": "/Type1", "BaseFont": f"/{name}", "Encoding": "/WinAnsiEncoding"}
    )


def courier(text: str) -> str:
    """Text in the letters that Courier has, western Europe's; of others, their numbers."""
    return text.encode(_LETTERS, "backslashreplace").decode(_LETTERS)


def length(text: str, size: float) -> float:
    """How long a text is."""
    return 0.6 * size * len(text)


def columns(width: float, size: float) -> int:
    """How many characters fit."""
    return int(width / (0.6 * size))
