"""The head of an envelope: everything before the encrypted content, and the shape of what follows it.

Read in the same way by whoever only describes an envelope and by whoever opens it, so that both
always speak of the same message (RFC 5652, section 6; RFC 5083, section 2; RFC 5084).
"""

from dataclasses import dataclass
from typing import Final, Literal

from nightdrop.envelope import der
from nightdrop.envelope.algorithms import (
    AUTH_ENVELOPED_DATA,
    CIPHERS,
    DATA,
    ENVELOPED_DATA,
    Cipher,
)
from nightdrop.envelope.ber import CAPTURE_LIMIT, BerReader
from nightdrop.envelope.entries import Entry, read_entries
from nightdrop.errors import EnvelopeError, UnknownCipherError

ContentType = Literal["EnvelopedData", "AuthEnvelopedData"]

MOST_RECIPIENTS: Final = 1000
"""More than this in one envelope are not read: whoever checks a vault has many envelopes to look at."""


@dataclass(frozen=True)
class Header:
    """What stands before the encrypted content. `ends` is for `read_tail`."""

    content_type: ContentType
    entries: tuple[Entry, ...]
    cipher: Cipher
    nonce: bytes
    tag_length: int
    ends: tuple[int | None, ...]


def read_header(reader: BerReader) -> Header:
    """Read up to where the encrypted content begins; EnvelopeError if this is no envelope."""
    if reader.peek(1) != bytes((der.SEQUENCE,)):
        raise EnvelopeError("it does not begin as a CMS message does")
    message = reader.enter(der.SEQUENCE)
    content_type = _content_type(reader.capture())
    explicit = reader.enter(0xA0)
    data = reader.enter(der.SEQUENCE)
    reader.capture()
    if reader.peek(1) == b"\xa0":
        reader.capture()
    entries = read_entries(_recipient_infos(reader))
    content_info = reader.enter(der.SEQUENCE)
    if reader.capture() != DATA:
        raise EnvelopeError("what it encrypts is not plain data")
    cipher, nonce, tag_length = _cipher(reader.capture(), content_type)
    ends = (content_info, data, explicit, message)
    return Header(content_type, entries, cipher, nonce, tag_length, ends)


def read_tail(reader: BerReader, header: Header) -> bytes:
    """Read from the encrypted content's end to the message's; the authentication tag, or nothing."""
    content_info, data, explicit, message = header.ends
    reader.leave(content_info)
    tag = b""
    if header.content_type == "AuthEnvelopedData":
        if reader.peek(1) == b"\xa1":
            # They would have to be hashed before the content and come after it (RFC 5083, 2.2).
            raise EnvelopeError("it has authenticated attributes, which nothing we know writes")
        tag = der.contents(reader.capture(), der.OCTET_STRING)
        if len(tag) != header.tag_length:
            raise EnvelopeError("its authentication tag has another length than it says")
    while not reader.at_end(data):
        if not reader.peek(1):
            raise EnvelopeError("it ends in the middle")
        reader.capture()
    reader.leave(data)
    reader.leave(explicit)
    reader.leave(message)
    return tag


def _content_type(identifier: bytes) -> ContentType:
    if identifier == ENVELOPED_DATA:
        return "EnvelopedData"
    if identifier == AUTH_ENVELOPED_DATA:
        return "AuthEnvelopedData"
    raise EnvelopeError("it is a CMS message, but not an encrypted one")


def _recipient_infos(reader: BerReader) -> list[bytes]:
    """The elements of the SET of recipients, no more of them than take a moment to look at."""
    infos: list[bytes] = []
    room = CAPTURE_LIMIT
    end = reader.enter(der.SET)
    while not reader.at_end(end):
        if len(infos) == MOST_RECIPIENTS:
            raise EnvelopeError(f"it has more than {MOST_RECIPIENTS} recipients")
        infos.append(reader.capture(room))
        room -= len(infos[-1])
    reader.leave(end)
    return infos


def _cipher(algorithm: bytes, content_type: ContentType) -> tuple[Cipher, bytes, int]:
    """Cipher, nonce or initialisation vector, and length of the tag."""
    identifier, *parameters = der.children(der.contents(algorithm, der.SEQUENCE)) or [b""]
    cipher = CIPHERS.get(identifier)
    if cipher is None or len(parameters) != 1:
        raise UnknownCipherError(f"it is encrypted with an unknown cipher ({identifier[:32].hex()})")
    if (cipher.mode == "gcm") != (content_type == "AuthEnvelopedData"):
        raise EnvelopeError(f"{cipher.name} does not belong into {content_type}")
    if cipher.mode == "cbc":
        nonce = der.contents(parameters[0], der.OCTET_STRING)
        if len(nonce) != cipher.block:
            raise EnvelopeError("its initialisation vector has the wrong length")
        return cipher, nonce, 0
    fields = der.children(der.contents(parameters[0], der.SEQUENCE))
    nonce = der.contents(fields[0], der.OCTET_STRING) if fields else b""
    tag_length = int.from_bytes(der.contents(fields[1], der.INTEGER)) if fields[1:] else 12
    if not 8 <= len(nonce) <= 64 or not 12 <= tag_length <= 16:
        raise EnvelopeError("its GCM parameters are out of bounds")
    return cipher, nonce, tag_length
