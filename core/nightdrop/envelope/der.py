"""Writing DER and reading BER headers (ITU-T X.690): the few pure functions that envelopes need."""

from binascii import b2a_base64

from nightdrop.errors import EnvelopeError

INTEGER, BIT_STRING, OCTET_STRING, NULL, OID = 0x02, 0x03, 0x04, 0x05, 0x06
SEQUENCE, SET = 0x30, 0x31
END_OF_CONTENTS = b"\0\0"
INDEFINITE = b"\x80"


def length(octets: int) -> bytes:
    """The length octets of a definite form (X.690, 8.1.3)."""
    if octets < 0x80:
        return bytes((octets,))
    digits = octets.to_bytes((octets.bit_length() + 7) // 8, "big")
    return bytes((0x80 | len(digits),)) + digits


def element(tag: int, *contents: bytes) -> bytes:
    """One element: tag, length, and its contents one after the other."""
    body = b"".join(contents)
    return bytes((tag,)) + length(len(body)) + body


def integer(value: int) -> bytes:
    """An INTEGER that is not negative."""
    return element(INTEGER, value.to_bytes(value.bit_length() // 8 + 1, "big"))


def oid(dotted: str) -> bytes:
    """An OBJECT IDENTIFIER, from its dotted form."""
    first, second, *rest = (int(arc) for arc in dotted.split("."))
    out = bytearray()
    for arc in (first * 40 + second, *rest):
        digits = [arc & 0x7F]
        while arc := arc >> 7:
            digits.append(0x80 | arc & 0x7F)
        out += bytes(reversed(digits))
    return element(OID, bytes(out))


def split(octets: bytes, start: int = 0) -> tuple[int, int, int]:
    """Of the definite element at `start`: its tag, where its contents begin, and where it ends.

    Raises EnvelopeError where there is no such element within `octets`.
    """
    try:
        tag, first = octets[start], octets[start + 1]
    except IndexError as error:
        raise EnvelopeError("an element is cut off") from error
    begin = start + 2
    size = first
    if first > 0x84 or first == 0x80 or tag & 0x1F == 0x1F:
        raise EnvelopeError("an element has a header that does not belong there")
    if first > 0x80:
        digits = first & 0x7F
        size = int.from_bytes(octets[begin : begin + digits], "big")
        begin += digits
    if begin + size > len(octets):
        raise EnvelopeError("an element is longer than what it stands in")
    return tag, begin, begin + size


def children(octets: bytes) -> list[bytes]:
    """The elements that stand one after the other in `octets`, each with its header."""
    found, at = [], 0
    while at < len(octets):
        _, _, end = split(octets, at)
        found.append(octets[at:end])
        at = end
    return found


def contents(octets: bytes, tag: int) -> bytes:
    """The contents of the one element that `octets` are, which has to have this tag."""
    found, begin, end = split(octets)
    if found != tag or end != len(octets):
        raise EnvelopeError(f"tag {found:#04x} stands where {tag:#04x} belongs")
    return octets[begin:end]


def first(sequence: bytes) -> bytes:
    """The first element in a SEQUENCE: of an AlgorithmIdentifier, which algorithm it is."""
    inside = contents(sequence, SEQUENCE)
    return inside[: split(inside)[2]]


def bits(octets: bytes, tag: int = BIT_STRING) -> bytes:
    """The contents of a BIT STRING of whole octets."""
    body = contents(octets, tag)
    if body[:1] != b"\0":
        raise EnvelopeError("a bit string is not of whole octets")
    return body[1:]


def pem(label: str, octets: bytes) -> str:
    """Octets as PEM (RFC 7468)."""
    body = b2a_base64(octets, newline=False).decode()
    lines = [body[at : at + 64] for at in range(0, len(body), 64)]
    return "\n".join([f"-----BEGIN {label}-----", *lines, f"-----END {label}-----", ""])
