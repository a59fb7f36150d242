"""The kinds of blocks that the paper of a key is made of."""

from collections.abc import Sequence
from dataclasses import dataclass

import segno


@dataclass(frozen=True)
class Heading:
    """Begins a section."""

    text: str
    new_page: bool = False


@dataclass(frozen=True)
class Words:
    """A paragraph; what stands between backquotes is code."""

    text: str


@dataclass(frozen=True)
class Commands:
    """Lines for a shell, which no form may break."""

    text: str


@dataclass(frozen=True)
class Facts:
    """Names and what they stand for."""

    rows: dict[str, str]


@dataclass(frozen=True)
class Steps:
    """A numbered list."""

    steps: Sequence[Sequence[Words | Commands]]


@dataclass(frozen=True)
class Code:
    """A QR code and what is written below it."""

    code: segno.QRCode
    caption: str


@dataclass(frozen=True)
class Codes:
    """QR codes side by side."""

    codes: Sequence[Code]


@dataclass(frozen=True)
class Lines:
    """The lines of a key or certificate, as they are typed."""

    lines: Sequence[str]


Block = Heading | Words | Commands | Facts | Steps | Codes | Lines
