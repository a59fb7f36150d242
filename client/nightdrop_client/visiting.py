"""A visit to a mirror's door, for `nightdrop doctor`: does it take, and refuse, what it should?

That a file would be taken is shown without leaving one: a PUT that waits for the mirror's word before its
body (`Expect: 100-continue`, RFC 9110, 10.1.1). The door gives it only when password, name, quota and
disk allow the file and it is open for writing. Then the connection is closed, and an upload that is cut
off is not kept: by no mirror, ours or nginx. (nginx in front of the door gives the word by itself.)
"""

import http.client
import socket
import ssl
import time
from base64 import b64encode
from collections.abc import Iterator
from contextlib import closing
from email.utils import parsedate_to_datetime
from typing import Final
from urllib.parse import urlsplit

from cryptography import x509

from nightdrop import __version__
from nightdrop.enrolment import BundleMirror
from nightdrop.examining import Line, certificate, clock
from nightdrop.text import harmless
from nightdrop_client.door import tls_context

PROBE: Final = "duplicity-full.19700101T000000Z.vol1.difftar.p7m"
"""A name that the door allows and no backup ever has."""

_TIMEOUT: Final = 20.0
_NEW_BUNDLE: Final = "a new bundle: `nightdrop enroll HOST --again` on that mirror"


def visit(host: str, mirror: BundleMirror) -> Iterator[Line]:
    """What the door of a mirror does with the host's requests; a mirror that is away is one line."""
    what = f"mirror {mirror.name}"
    if mirror.certificate:
        try:
            expires = x509.load_pem_x509_certificate(mirror.certificate.encode()).not_valid_after_utc
        except ValueError:
            yield Line("fail", f"{what}, certificate", "what the bundle has for one is none", _NEW_BUNDLE)
            return
        yield certificate(f"{what}, certificate", expires, _NEW_BUNDLE)
    try:
        with closing(_connect(mirror)) as connection:
            answer, sent = _ask(connection, host, mirror, "OPTIONS", ""), time.time()
            yield _let_in(what, mirror, answer)
            if date := answer.headers.get("Date"):
                yield _clock(f"{what}, clock", date, sent)
        with closing(_connect(mirror)) as connection:
            yield _refuses(what, _ask(connection, host, mirror, "GET", PROBE))
        if answer.status == 200:
            with closing(_connect(mirror)) as connection:
                yield _takes(what, connection, host, mirror)
    except ssl.SSLCertVerificationError as error:
        text = f"its certificate is not the one that enrolment pinned ({error.verify_message})"
        yield Line("fail", what, text, f"if the mirror is right: {_NEW_BUNDLE}")
    except (OSError, http.client.HTTPException) as error:
        why = getattr(error, "strerror", None) or str(error) or type(error).__name__
        hint = "does the mirror run, do name and port lead to it, does a firewall let this host through?"
        yield Line("fail", what, f"{mirror.url} is not reached: {why}", hint)


def _connect(mirror: BundleMirror) -> http.client.HTTPConnection:
    """A connection, trusting what a backup trusts, without a proxy out of the environment."""
    parts = urlsplit(mirror.url)
    name = parts.hostname or ""
    if parts.scheme == "http":
        return http.client.HTTPConnection(name, parts.port, timeout=_TIMEOUT)
    context = tls_context(mirror)
    return http.client.HTTPSConnection(name, parts.port, timeout=_TIMEOUT, context=context)


def _ask(
    connection: http.client.HTTPConnection, host: str, mirror: BundleMirror, method: str, name: str
) -> http.client.HTTPResponse:
    connection.request(method, _path(host, mirror, name), headers=_fields(mirror))
    return connection.getresponse()


def _path(host: str, mirror: BundleMirror, name: str) -> str:
    return f"{urlsplit(mirror.url).path}/{host}/{name}"


def _fields(mirror: BundleMirror) -> dict[str, str]:
    credentials = b64encode(f"{mirror.user}:{mirror.password}".encode()).decode()
    return {"Authorization": f"Basic {credentials}", "User-Agent": f"nightdrop-doctor/{__version__}"}


def _let_in(what: str, mirror: BundleMirror, answer: http.client.HTTPResponse) -> Line:
    if answer.status == 200:
        return Line("ok", what, f"{mirror.url} answers, and takes the password of {mirror.user}")
    said = f"it answered {answer.status} {answer.reason}"
    if answer.status == 401:
        return Line("fail", what, f"it does not accept the password of {mirror.user}", _NEW_BUNDLE)
    if answer.status == 403:
        return Line(
            "fail", what, said, "is this host enrolled there, and in the networks it may come from?"
        )
    return Line("fail", what, said, "the mirror's log says more: `journalctl -u nightdrop-serve`")


def _clock(what: str, date: str, now: float) -> Line:
    try:
        return clock(what, now - parsedate_to_datetime(date).timestamp())
    except (ValueError, OverflowError):
        return Line("warn", what, f"the mirror says that it is {date!r}")


def _refuses(what: str, answer: http.client.HTTPResponse) -> Line:
    if answer.status in (401, 403, 405):
        return Line("ok", f"{what}, GET", f"is refused ({answer.status})")
    text = f"is answered {answer.status} {harmless(answer.reason, 80)}: this server may give backups out"
    return Line(
        "fail", f"{what}, GET", text, "see what serves there; `nightdrop serve` gives nothing out"
    )


def _takes(what: str, connection: http.client.HTTPConnection, host: str, mirror: BundleMirror) -> Line:
    """Whether a PUT would be taken."""
    what = f"{what}, PUT"
    connection.putrequest("PUT", _path(host, mirror, PROBE))
    for name, value in (_fields(mirror) | {"Content-Length": "1", "Expect": "100-continue"}).items():
        connection.putheader(name, value)
    connection.endheaders()
    assert connection.sock is not None
    status, reason = _status_line(connection.sock)
    if status == 100:
        return Line("ok", what, "a new file would be taken (tried, and broken off before its first byte)")
    hints = {
        507: "make room there, or raise this host's quota in its file in the mirror's state",
        503: "the mirror is busy or cannot reach its vault: its log says more",
    }
    text = f"it answered {status} {harmless(reason, 160)}"
    return Line("fail", what, text, hints.get(status, "the mirror's log says more"))


def _status_line(sock: socket.socket) -> tuple[int, str]:
    """Status and reason of the next answer, be it an interim one, which http.client would hide."""
    with sock.makefile("rb") as answer:
        line = answer.readline(1000).decode("latin-1").strip()
    parts = line.split(" ", 2)
    if len(parts) < 2 or not parts[1].isdecimal():
        raise http.client.BadStatusLine(line)
    return int(parts[1]), parts[2] if len(parts) > 2 else ""
