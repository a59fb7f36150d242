"""A key and its certificate as lines that survive on paper (FORMAT.md, "Paper").

A line is a letter (K for the key, C for the certificate) and a number, then up to 40 characters of base32
(RFC 4648, 6), which has no small letters and neither 0, 1, 8 nor 9, then the first four hex digits of the
SHA-256 of the line before them. So a line that was read wrongly is known by itself, by hand if need be,
and whatever holds the lines, in whatever order, is the key: typed, or scanned from QR codes.
"""

import re
from base64 import b32decode, b32encode
from collections.abc import Iterable, Sequence
from hashlib import sha256
from typing import Final, Literal

from nightdrop.envelope import der
from nightdrop.errors import EnvelopeError, NightdropError

Letter = Literal["K", "C"]

SEPARATOR: Final = "/"
"""Between the lines in a QR code: its alphabet of capital letters has no line end."""

_WIDTH: Final = 40
_GROUP: Final = 5
_OCTETS: Final = 25
_LINE: Final = re.compile(r"([KC])(\d{3})([A-Z0-9]+)([0-9A-F]{4})", re.ASCII)
_LIKE_A_LINE: Final = re.compile(r"[KC]\d{2}", re.ASCII)
# Base32 has none of these digits, so whoever typed one meant the letter it looks like.
_MEANT: Final = str.maketrans("018", "OIB")
_NAMES: Final = {"K": "key", "C": "certificate"}


def to_lines(letter: Letter, octets: bytes) -> list[str]:
    """The lines of a key or certificate (DER), in groups of five characters."""
    # base32 has no padding if the octets are a multiple of five; DER says where it ends by itself.
    padded = octets + bytes(-len(octets) % 5)
    lines = []
    for number, at in enumerate(range(0, len(padded), _OCTETS), 1):
        data = b32encode(padded[at : at + _OCTETS]).decode()
        tag = f"{letter}{number:03}"
        groups = [data[start : start + _GROUP] for start in range(0, len(data), _GROUP)]
        lines.append(" ".join([tag, *groups, _checksum(tag + data)]))
    return lines


def from_lines(texts: Iterable[str]) -> dict[Letter, bytes]:
    """What these lines hold (DER), whatever else stands among them and in whatever order they are.

    NightdropError names every line that is wrong or missing.
    """
    found: dict[Letter, dict[int, str]] = {"K": {}, "C": {}}
    wrong: list[str] = []
    for text in texts:
        for line in text.upper().split(SEPARATOR):
            squeezed = re.sub(r"\s", "", line.removeprefix("QR-CODE:"))
            parts = _LINE.fullmatch(squeezed)
            if parts is None:
                wrong += [squeezed[:4]] if _LIKE_A_LINE.match(squeezed) else []
                continue
            tag, data = parts[1] + parts[2], parts[3].translate(_MEANT)
            if _checksum(tag + data) == parts[4]:
                found["K" if parts[1] == "K" else "C"][int(parts[2])] = data
            else:
                wrong.append(tag)
    rest = [tag for tag in dict.fromkeys(wrong) if not _is_found(tag, found)]
    missing = {letter: _missing(lines) for letter, lines in found.items() if lines}
    lacking = [
        f"{letter}{number:03}" for letter, numbers in missing.items() for number in numbers
        if f"{letter}{number:03}" not in rest
    ]  # fmt: skip
    _complain(rest, lacking)
    if not found["K"]:
        raise NightdropError(
            "there is no line of a key in this", "its lines begin with K001, K002 and so on"
        )
    return {letter: _joined(letter, lines) for letter, lines in found.items() if lines}


def _complain(wrong: Sequence[str], lacking: Sequence[str]) -> None:
    if not wrong and not lacking:
        return
    said = []
    if wrong:
        said.append(f"wrong: {', '.join(wrong)}")
    if lacking:
        said.append(f"missing: {', '.join(lacking)}")
    raise NightdropError(
        f"the page was not read as it is printed; lines that are {'; '.join(said)}",
        "compare these lines with the paper and give all of them again",
    )


def _checksum(text: str) -> str:
    return sha256(text.encode()).hexdigest()[:4].upper()


def _is_found(tag: str, found: dict[Letter, dict[int, str]]) -> bool:
    number = tag[1:]
    return number.isdecimal() and int(number) in found["K" if tag[0] == "K" else "C"]


def _missing(lines: dict[int, str]) -> list[int]:
    """The numbers that are missing: up to the last there should be, which the first line tells."""
    last = max(lines)
    if 1 in lines:
        head = b32decode(lines[1].ljust(-(-len(lines[1]) // 8) * 8, "="))
        last = max(last, -(-_length(head) // _OCTETS))
    return [number for number in range(1, last + 1) if number not in lines]


def _length(head: bytes) -> int:
    """How many octets a DER element has, told from its first ones."""
    if len(head) < 2 or head[1] < 0x80:
        return 2 + (head[1] if len(head) > 1 else 0)
    octets = head[1] & 0x7F
    return 2 + octets + int.from_bytes(head[2 : 2 + octets], "big")


def _joined(letter: Letter, lines: dict[int, str]) -> bytes:
    padded = b"".join(b32decode(lines[number]) for number in sorted(lines))
    try:
        _, _, end = der.split(padded)
    except EnvelopeError as error:
        raise NightdropError(f"the lines of the {_NAMES[letter]} are no {_NAMES[letter]}") from error
    return padded[:end]
