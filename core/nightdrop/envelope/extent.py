"""How far the message in a file reaches, told from the last kilobytes and the lines of the first ones."""

import os
from dataclasses import dataclass
from typing import BinaryIO, Final

from nightdrop.envelope.forms import Wrapping, decoded, digits_of

LONGEST_TAIL: Final = 4096
"""Octets of BER at the end that somebody looks at."""

_TEXT = 8192
_LINE_ENDS = b"\r\n"


@dataclass(frozen=True)
class Extent:
    """The end of what a file wraps.

    `octets` is the length of the BER in it, None where that would take reading all of it; `tail` its
    last octets. `ended` says whether the form itself ends as it should, and `trailing` how much of the
    file follows that end.
    """

    octets: int | None
    tail: bytes
    ended: bool = True
    trailing: int = 0


def extent(file: BinaryIO, wrapping: Wrapping) -> Extent:
    """How far the message in a seekable file reaches; EnvelopeError if its end is no base64."""
    size = file.seek(0, os.SEEK_END)
    if not wrapping.base64:
        file.seek(max(wrapping.start, size - LONGEST_TAIL))
        return Extent(size - wrapping.start, file.read(LONGEST_TAIL))
    at = max(wrapping.start, size - _TEXT)
    file.seek(at)
    text, ended, trailing = file.read(_TEXT), True, 0
    if wrapping.end:
        text, dash, behind = text.partition(b"-")
        ended = (dash + behind).startswith(wrapping.end)
        behind = (dash + behind)[len(wrapping.end) :]
        trailing = len(behind) if ended and behind.strip(_LINE_ENDS) else 0
    text = text.rstrip(_LINE_ENDS)
    file.seek(wrapping.start)
    digits = _count_digits(file.read(_TEXT), text, at - wrapping.start)
    tail = digits_of(text)
    tail = decoded(tail[len(tail) % 4 :])[-LONGEST_TAIL:]
    if digits is None:
        return Extent(None, tail, ended, trailing)
    octets = digits // 4 * 3 - text[-2:].count(b"=")
    return Extent(octets, tail, ended and digits % 4 == 0, trailing)


def _count_digits(head: bytes, tail: bytes, at: int) -> int | None:
    """How many base64 digits there are, of which `head` are the first and `tail`, from `at`, the last.

    Reckoned from lines of one length, as everybody writes them; None where they are not.
    """
    if not at:
        return len(digits_of(tail))
    octets = at + len(tail)
    width = head.find(b"\n") + 1
    if not (width and _even(head[:octets], 0, width) and _even(tail, at, width)):
        return None
    ends = 2 if head[width - 2 : width] == _LINE_ENDS else 1
    full, rest = divmod(octets, width)
    return full * (width - ends) + rest


def _even(text: bytes, at: int, width: int) -> bool:
    """Whether text from the offset `at` has a line end at every `width`th octet, and nowhere else."""
    return text[(width - 1 - at) % width :: width] == b"\n" * text.count(b"\n")
