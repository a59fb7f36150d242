"""Messages with something changed at random, of the kinds that hurt readers of BER and of base64."""

import random

MARKS = (
    b"",
    b"\0",
    b"\x80",
    b"\xff",
    b"\x30\x80",
    b"\x24\x80",
    b"\xa0\x80",
    b"\0\0",
    b"\x04\0",
    b"\x84\xff\xff\xff\xff",
    b"\x88\x7f\xff\xff\xff\xff\xff\xff\xff",
)
"""Octets that mean something in BER: ends, indefinite lengths, lengths without sense."""

TEXT_MARKS = (b"\n", b"\r", b"\n\n", b"-", b"=", b"==", b":", b" ", b"-----END CMS-----\n", b"MIAG")
"""And in text around base64."""


def mutated(chance: random.Random, octets: bytes, marks: tuple[bytes, ...] = MARKS) -> bytes:
    """Octets with one to four changes: something else, or nothing, in the place of a few of them."""
    out = bytearray(octets)
    for _ in range(chance.randint(1, 4)):
        at = chance.randrange(len(out) + 1)
        out[at : at + chance.randint(0, 4)] = chance.choice([*marks, chance.randbytes(3)])
    return bytes(out)


def rearranged(chance: random.Random, octets: bytes, other: bytes) -> bytes:
    """Octets cut off, or with a piece of themselves or of another message in the place of a piece."""
    start, end = sorted(chance.choices(range(len(octets) + 1), k=2))
    first, last = sorted(chance.choices(range(len(other) + 1), k=2))
    piece = chance.choice([b"", other[first:last], octets[start:end] * 2])
    return octets[:start] + piece + (octets[end:] if chance.random() < 0.8 else b"")
