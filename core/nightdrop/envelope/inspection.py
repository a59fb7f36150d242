"""Describing an envelope without a key, from its first kilobytes and its tail alone."""

import os
from dataclasses import dataclass
from typing import BinaryIO

from nightdrop.envelope import der
from nightdrop.envelope.ber import BerReader
from nightdrop.envelope.entries import Entry
from nightdrop.envelope.extent import extent
from nightdrop.envelope.forms import Form, recognise, unwrapped
from nightdrop.envelope.header import ContentType, Header, read_header
from nightdrop.envelope.recipients import RecipientId

_CHUNK = 16 * 1024
_SEGMENTED = b"\xa0" + der.INDEFINITE


@dataclass(frozen=True)
class Inspection:
    """What can be told of an envelope without a key.

    `complete` says whether it ends as such a message ends: a cut-off one does not. It is None where
    that cannot be told from the tail: of a message that states its length, in base64 whose lines are
    not all of one length. `trailing` counts octets after the message's end, where that can be known.
    `size` is the file's, in octets, and `form` is how the message is written in it; `header` is what
    stands in its BER before `content_at`, where the encrypted content begins.
    """

    content_type: ContentType
    cipher: str
    entries: tuple[Entry, ...]
    complete: bool | None
    trailing: int
    size: int
    form: Form
    header: Header
    content_at: int
    segmented: bool

    @property
    def recipients(self) -> tuple[RecipientId, ...]:
        """To whom it is sealed."""
        return tuple(entry.recipient for entry in self.entries)


def inspect_envelope(file: BinaryIO) -> Inspection:
    """Describe the envelope in a seekable file; EnvelopeError if it is none."""
    size = file.seek(0, os.SEEK_END)
    file.seek(0)

    def read(octets: int) -> bytes:
        return file.read(min(octets, _CHUNK))

    wrapping, held = recognise(read)
    reader = BerReader(unwrapped(wrapping, held, read))
    header = read_header(reader)
    segmented = reader.peek(2) == _SEGMENTED
    body = extent(file, wrapping)
    complete: bool | None = body.ended
    trailing = body.trailing
    if (message_end := header.ends[-1]) is None:
        # Only what stands behind the head, where that reaches into the tail, can close it.
        head = 0 if body.octets is None else reader.position - (body.octets - len(body.tail))
        complete = body.ended and Ending(header, segmented).stands_in(body.tail, after=head)
    elif body.octets is not None:
        complete = body.ended and body.octets >= message_end
        trailing += max(0, body.octets - message_end)
    elif body.ended:
        complete = None
    return Inspection(
        header.content_type,
        header.cipher.name,
        header.entries,
        complete,
        trailing,
        size,
        wrapping.form,
        header,
        reader.position,
        segmented,
    )


class Ending:
    """How a message of indefinite length ends: it closes what its head opened.

    Reckoned backwards from the end: one end-of-contents for each open level; before them, with GCM,
    the tag; before that, the end of EncryptedContentInfo, and of its content if that came in segments.
    With CBC nothing but zeros stands there, so where the content itself happens to end with n zeros, n
    missing octets are not seen: one, in one message of 256.
    """

    def __init__(self, header: Header, segmented: bool) -> None:
        content_info, *outer = header.ends
        self._before = der.END_OF_CONTENTS * (segmented + (content_info is None))
        self._closing = der.END_OF_CONTENTS * outer.count(None)
        self._length = len(self._before) + len(self._closing)
        if header.content_type == "AuthEnvelopedData":
            self._before += bytes((der.OCTET_STRING, header.tag_length))
            self._length += 2 + header.tag_length

    def stands_in(self, tail: bytes, after: int = 0) -> bool:
        """Whether a message with these last octets ends so, `after` so many of them."""
        at = len(tail) - self._length
        return at >= max(0, after) and tail.startswith(self._before, at) and tail.endswith(self._closing)
