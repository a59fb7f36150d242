"""The head of an HTTP/1 request, read strictly (RFC 9112): request line and header fields, no I/O.

Servers and proxies that disagree on where a body ends can be played against each other, so whatever
the RFC leaves to taste is refused here: bare line feeds, folded lines, NUL, signs or spaces around
a length, a length given twice or beside chunks, chunks in HTTP/1.0, underscores in names.
"""

import re
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

from nightdrop_server.answers import Refused

MAX_FIELDS: Final = 100

_REQUEST_LINE = re.compile(rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]{1,32}) ([^ \t\r\n\0]+) HTTP/1\.([01])")
_NAME = re.compile(rb"[!#$%&'*+\-.^`|~0-9A-Za-z]+")
_BAD_VALUE = re.compile(rb"[\0-\x08\x0a-\x1f\x7f]")
_LENGTH = re.compile(r"[0-9]{1,15}", re.ASCII)

# Fields that decide where a body ends, who asks and what for: twice is once too often.
_SINGLE = frozenset(
    {
        "authorization",
        "content-length",
        "content-encoding",
        "content-range",
        "depth",
        "expect",
        "host",
        "transfer-encoding",
    }
)


@dataclass(frozen=True)
class Head:
    """A request's head. Names of fields are in lower case; `target` is as the client wrote it, byte
    for character; `length` is the body's in octets, None when it is `chunked`; a request
    without a body has length 0 and `declared` False.
    """

    method: str
    target: str
    fields: dict[str, str]
    length: int | None
    declared: bool
    keep_alive: bool
    expects_continue: bool


def parse_head(lines: list[bytes]) -> Head:
    """Read a head from its lines, each with its CR LF, without the empty line after them.

    Refused carries the status to answer.
    """
    found = _REQUEST_LINE.fullmatch(lines[0].removesuffix(b"\r\n")) if lines else None
    if found is None:
        raise _bad("this is no HTTP/1.0 or HTTP/1.1 request line")
    method, target = found[1].decode(), found[2].decode("latin-1")
    modern = found[3] == b"1"
    fields = _fields(lines[1:])
    if modern and "host" not in fields:
        raise _bad("HTTP/1.1 needs a Host field")
    declared, length = _framing(fields, modern)
    expect = fields.get("expect", "").lower()
    if expect not in ("", "100-continue"):
        raise Refused(HTTPStatus.EXPECTATION_FAILED, "the only expectation known here is 100-continue")
    connection = {token.strip().lower() for token in fields.get("connection", "").split(",")}
    return Head(
        method=method,
        target=target,
        fields=fields,
        length=length,
        declared=declared,
        keep_alive=modern and "close" not in connection,
        expects_continue=modern and bool(expect),
    )


def _fields(lines: list[bytes]) -> dict[str, str]:
    if len(lines) > MAX_FIELDS:
        raise Refused(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, f"more than {MAX_FIELDS} header fields")
    fields: dict[str, str] = {}
    for line in lines:
        raw_name, colon, raw_value = line.removesuffix(b"\r\n").partition(b":")
        # A folded line begins with a space, which is in no name.
        if not colon or not _NAME.fullmatch(raw_name) or _BAD_VALUE.search(raw_value):
            raise _bad("a header field is malformed")
        name, value = raw_name.decode().lower(), raw_value.strip(b" \t").decode("latin-1")
        if name in fields:
            if name in _SINGLE:
                raise _bad(f"the header field {name} stands there twice")
            value = f"{fields[name]}, {value}"
        fields[name] = value
    return fields


def _framing(fields: dict[str, str], modern: bool) -> tuple[bool, int | None]:
    """Whether a body is declared, and its length (None: chunked)."""
    length, coding = fields.get("content-length"), fields.get("transfer-encoding")
    if coding is not None:
        if not modern or length is not None or coding.lower() != "chunked":
            raise _bad("Transfer-Encoding is chunked, alone and in HTTP/1.1, or absent")
        return True, None
    if length is None:
        return False, 0
    if not _LENGTH.fullmatch(length):
        raise _bad("Content-Length is a plain number")
    return True, int(length)


def _bad(sentence: str) -> Refused:
    return Refused(HTTPStatus.BAD_REQUEST, f"bad request: {sentence}")
