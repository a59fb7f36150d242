"""The forms in which a message comes: BER as it is, PEM, base64 without a frame, and S/MIME.

openssl writes S/MIME unless told otherwise, `gpgsm --armor` PEM, `gpgsm --base64` bare base64. What
carries base64 is decoded as it streams, in constant memory, however long a line is; whatever is in it
that is no base64 is an error, as is a form that has an end of its own and does not come to it.
"""

import re
from binascii import Error as Base64Error
from binascii import a2b_base64
from dataclasses import dataclass
from typing import Final, Literal

from nightdrop.envelope.ber import Read
from nightdrop.errors import EnvelopeError

Form = Literal["BER", "PEM", "base64", "S/MIME"]

PEM_LABELS: Final = (b"CMS", b"PKCS7", b"ENCRYPTED MESSAGE")
"""What PEM of a CMS message is called: by `openssl cms` (RFC 7468, 9), by `openssl smime`, by gpgsm."""

MIME_TYPES: Final = ("application/pkcs7-mime", "application/x-pkcs7-mime")
"""The types of an encrypted S/MIME message (RFC 8551, 3.2), with the older one of `openssl smime`."""

HEADERS_LIMIT: Final = 64 * 1024
"""Most octets of MIME headers, the blank line included."""

_LINE_LIMIT = 1000
_CHUNK = 16 * 1024
_PEM_BEGIN = re.compile(rb"-----BEGIN ([A-Z0-9 ]{1,64})-----\r?\n")
# A SEQUENCE of 128 octets or more, or of indefinite length: 30 8x, which is "MI" in base64.
_BASE64_LINE = re.compile(rb"MI[A-Za-z0-9+/]+={0,2}\r?\n?")
_MIME_FIELD = re.compile(rb"[!-9;-~]+:")
_BLANK_LINE = re.compile(rb"\n\r?\n")


@dataclass(frozen=True)
class Wrapping:
    """How a message is wrapped: its `form`, how many octets stand before its body (`start`), whether
    that is `base64`, and the line that has to follow it, if there is one (`end`).
    """

    form: Form = "BER"
    start: int = 0
    base64: bool = False
    end: bytes = b""


def binary(read: Read) -> Read:
    """The message that `read` gives, in whichever form, as a `read` that gives its BER.

    That raises EnvelopeError, at once or when it is called, for a form that is not as it should be. It
    knows only the forms: what is none of them it gives as it is. It may give a little more than asked.
    """
    wrapping, held = recognise(read)
    return unwrapped(wrapping, held, read)


def recognise(read: Read) -> tuple[Wrapping, bytes]:
    """How the message that `read` gives is wrapped, and what has been read of its body by then."""
    head = _Head(read)
    line = head.until(re.compile(rb"\n"), _LINE_LIMIT)
    if found := _PEM_BEGIN.fullmatch(line):
        if found[1] not in PEM_LABELS:
            raise EnvelopeError(f"it is PEM, but of a {found[1].decode().lower()}")
        return head.body(Wrapping("PEM", len(line), True, b"-----END " + found[1] + b"-----"))
    if _BASE64_LINE.fullmatch(line):
        return head.body(Wrapping("base64", 0, True))
    if _MIME_FIELD.match(line):
        headers = head.until(_BLANK_LINE, HEADERS_LIMIT)
        if _BLANK_LINE.search(headers) and (base64 := _mime_base64(headers)) is not None:
            return head.body(Wrapping("S/MIME", len(headers), base64))
    return head.body(Wrapping())


def unwrapped(wrapping: Wrapping, held: bytes, read: Read) -> Read:
    """The BER of a message, of whose body `held` has been read already."""
    rest = _Resumed(held, read).read
    return _Base64(rest, wrapping.end).read if wrapping.base64 else rest


def digits_of(text: bytes) -> bytes:
    """Base64 without its line ends."""
    return text.replace(b"\n", b"").replace(b"\r", b"")


def decoded(digits: bytes) -> bytes:
    """What base64 digits say, of which there have to be a multiple of four."""
    try:
        return a2b_base64(digits, strict_mode=True)
    except Base64Error as error:
        raise EnvelopeError("something stands in its base64 that does not belong there") from error


class _Head:
    """The beginning of a stream, read as far as somebody has to look."""

    def __init__(self, read: Read) -> None:
        self._read = read
        self._octets = bytearray()

    def until(self, mark: re.Pattern[bytes], limit: int) -> bytes:
        """The octets up to the end of this mark of two octets or three, or up to the limit."""
        searched = 0
        while True:
            if found := mark.search(self._octets, max(0, searched - 2), limit):
                return bytes(self._octets[: found.end()])
            searched = len(self._octets)
            if searched >= limit or not (more := self._read(_CHUNK)):
                return bytes(self._octets[:limit])
            self._octets += more

    def body(self, wrapping: Wrapping) -> tuple[Wrapping, bytes]:
        """The wrapping, with what was read of the body."""
        return wrapping, bytes(self._octets[wrapping.start :])


class _Resumed:
    """A stream, of which the beginning was read and is given once more."""

    def __init__(self, held: bytes, read: Read) -> None:
        self._held = held
        self._read = read

    def read(self, octets: int) -> bytes:
        held, self._held = self._held, b""
        return held or self._read(octets)


class _Base64:
    """Base64 on its way through, up to the `end` line, or to the stream's end if there is none."""

    def __init__(self, read: Read, end: bytes) -> None:
        self._read = read
        self._end = end
        self._digits = b""
        self._padded = False
        self._behind: bytes | None = None

    def read(self, octets: int) -> bytes:
        """The next octets; none only once all is as it should be, up to the stream's end."""
        while self._behind is None:
            text = self._read(octets)
            if not text:
                self._at_end()
            elif out := self._more(text):
                return out
        self._check_end(self._behind)
        return b""

    def _more(self, text: bytes) -> bytes:
        if self._end and (dash := text.find(b"-")) >= 0:
            text, self._behind = text[:dash], text[dash:]
        digits = self._digits + digits_of(text)
        whole = len(digits) // 4 * 4
        self._digits = digits[whole:]
        if self._padded and digits:
            raise EnvelopeError("its base64 goes on after its end")
        out = decoded(digits[:whole])
        self._padded = digits.endswith(b"=", 0, whole)
        return out

    def _at_end(self) -> None:
        if self._end:
            raise EnvelopeError(f"the line {self._end.decode()} is missing: it was cut off")
        self._behind = b""

    def _check_end(self, behind: bytes) -> None:
        """See that the stream ends as it has to, after the last digit."""
        if self._digits:
            raise EnvelopeError("its base64 ends in the middle")
        while len(behind) < len(self._end) and (more := self._read(_CHUNK)):
            behind += more
        if not behind.startswith(self._end):
            cut = self._end.startswith(behind)
            problem = "is missing: it was cut off" if cut else "does not stand where its base64 ends"
            raise EnvelopeError(f"the line {self._end.decode()} {problem}")
        behind = behind[len(self._end) :]
        while not behind.strip(b"\r\n"):
            if not (behind := self._read(_CHUNK)):
                # From now on the stream is at its end, and so is whoever asks again.
                self._behind = self._end
                return
        raise EnvelopeError("something follows where the envelope ends")


def _mime_base64(headers: bytes) -> bool | None:
    """Whether the body below these MIME headers is base64; None if they do not say what it is.

    Raises EnvelopeError if they say that it is no S/MIME message, or coded in another way.
    """
    from email.parser import BytesHeaderParser

    fields = BytesHeaderParser().parsebytes(headers)
    if "Content-Type" not in fields:
        return None
    kind = fields.get_content_type()
    if kind not in MIME_TYPES:
        raise EnvelopeError(
            "it has MIME headers, but of another type than application/pkcs7-mime",
            "save the encrypted part alone, with its own headers" if "multipart" in kind else "",
        )
    coding = str(fields.get("Content-Transfer-Encoding", "binary")).strip().lower()
    if coding not in ("base64", "binary", "8bit", "7bit"):
        raise EnvelopeError("its Content-Transfer-Encoding is neither base64 nor binary")
    return coding == "base64"
