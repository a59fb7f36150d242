"""What proxies and servers may read differently is refused, and no request forges a line in the log."""

import socket
import ssl
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.keyring import BOUNDED
from nightdrop_server.answers import Refused
from nightdrop_server.heads import parse_head
from nightdrop_server.targets import find_place

from mirrors import Mirror, Served, basic, new_name

GOOD_NAME = "duplicity-full.20260102T030405Z.manifest.p7m"


def say(served: Served, octets: bytes) -> bytes:
    """Send bytes as they are, end sending, and return all that is answered."""
    with served.mirror.connect() as sock:
        received = b""
        # Whoever has heard enough may hang up before all is said; what it answered is there all the same.
        with suppress(OSError):
            sock.sendall(octets)
            if not served.mirror.tls:
                sock.shutdown(socket.SHUT_WR)
        with suppress(ConnectionError, ssl.SSLError):
            while block := sock.recv(65536):
                received += block
        return received


def put_request(
    served: Served, *, line: bytes = b"", fields: list[bytes], body: bytes = b"hello"
) -> bytes:
    """The bytes of a PUT as web1 with exactly these framing fields."""
    [credentials] = served.fields().values()
    line = line or b"PUT /web1/%s HTTP/1.1" % new_name().encode()
    lines = [line, b"Host: x", b"Authorization: " + credentials.encode(), *fields, b"", b""]
    return b"\r\n".join(lines) + body


CHUNKED = b"5\r\nhello\r\n0\r\n\r\n"

REFUSED_FIELDS: dict[str, tuple[list[bytes], bytes]] = {
    "signed length": ([b"Content-Length: +5"], b"hello"),
    "negative length": ([b"Content-Length: -5"], b"hello"),
    "length with underscore": ([b"Content-Length: 0_5"], b"hello"),
    "hex length": ([b"Content-Length: 0x5"], b"hello"),
    "length list": ([b"Content-Length: 5, 5"], b"hello"),
    "empty length": ([b"Content-Length:"], b"hello"),
    "arabic digits": (["Content-Length: ٥".encode()], b"hello"),
    "endless length": ([b"Content-Length: " + b"9" * 30], b"hello"),
    "length twice, equal": ([b"Content-Length: 5", b"Content-Length: 5"], b"hello"),
    "length twice, different": ([b"Content-Length: 5", b"content-length: 6"], b"hello"),
    "length and chunks": ([b"Content-Length: 5", b"Transfer-Encoding: chunked"], CHUNKED),
    "chunks and length": ([b"Transfer-Encoding: chunked", b"Content-Length: 5"], CHUNKED),
    "chunks twice": ([b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked"], CHUNKED),
    "chunks in a list": ([b"Transfer-Encoding: gzip, chunked"], CHUNKED),
    "identity": ([b"Transfer-Encoding: identity"], b""),
    "not quite chunked": ([b"Transfer-Encoding: xchunked"], CHUNKED),
    "quoted chunked": ([b'Transfer-Encoding: "chunked"'], CHUNKED),
    "vertical tab before chunked": ([b"Transfer-Encoding: \x0bchunked"], CHUNKED),
    "space before the colon": ([b"Content-Length : 5"], b"hello"),
    "folded field": ([b"X: a", b" b", b"Content-Length: 5"], b"hello"),
    "space before a name": ([b" Content-Length: 5"], b"hello"),
    "underscore in a name": ([b"Content_Length: 5", b"Content-Length: 5"], b"hello"),
    "no colon": ([b"Content-Length 5"], b"hello"),
    "empty name": ([b": 5", b"Content-Length: 5"], b"hello"),
    "NUL in a value": ([b"X: a\0b", b"Content-Length: 5"], b"hello"),
    "NUL in a name": ([b"X\0: a", b"Content-Length: 5"], b"hello"),
    "bare CR in a value": ([b"X: a\rContent-Length: 6", b"Content-Length: 5"], b"hello"),
    "bare LF between fields": ([b"X: a\nContent-Length: 5"], b"hello"),
    "Host twice": ([b"Host: y", b"Content-Length: 5"], b"hello"),
    "Authorization twice": ([b"Authorization: Basic eA==", b"Content-Length: 5"], b"hello"),
}


@pytest.mark.parametrize("case", REFUSED_FIELDS.values(), ids=REFUSED_FIELDS)
def test_ambiguous_fields_are_refused(http: Served, case: tuple[list[bytes], bytes]) -> None:
    fields, body = case
    before = http.mirror.stored("web1")
    answer = say(http, put_request(http, fields=fields, body=body))
    assert answer.startswith(b"HTTP/1.1 400 "), answer
    assert answer.count(b"HTTP/1.1 ") == 1
    assert http.mirror.stored("web1") == before


LENGTH = b"Content-Length: %d"

# What is refused for its head, and with which status; its body is a request that would be answered 201.
REFUSED_HEADS: dict[str, tuple[bytes, list[bytes], bytes]] = {
    "a name": (b"PUT /web1/notes.txt HTTP/1.1", [LENGTH], b"403"),
    "a name, and the body waits": (
        b"PUT /web1/notes.txt HTTP/1.1",
        [LENGTH, b"Expect: 100-continue"],
        b"403",
    ),
    "another host's folder": (b"PUT /web2/%b HTTP/1.1", [LENGTH], b"403"),
    "a method": (b"DELETE /web1/%b HTTP/1.1", [LENGTH], b"405"),
    "a method, in chunks": (b"GET /web1/ HTTP/1.1", [b"Transfer-Encoding: chunked"], b"405"),
    "a digest": (b"PUT /web1/%b HTTP/1.1", [LENGTH, b"Repr-Digest: sha-256=:x:"], b"400"),
    "a part": (b"PUT /web1/%b HTTP/1.1", [LENGTH, b"Content-Range: bytes 0-1/2"], b"400"),
    "a depth": (b"PROPFIND /web1/ HTTP/1.1", [LENGTH], b"403"),
    "a length": (b"PUT /web1/%b HTTP/1.1", [b"Content-Length: 999999999999999"], b"413"),
}


@pytest.mark.parametrize("what", REFUSED_HEADS)
def test_what_a_refused_request_brings_along_is_no_request(http: Served, what: str) -> None:
    line, fields, status = REFUSED_HEADS[what]
    smuggled = put_request(http, fields=[b"Content-Length: 5"])
    request = put_request(
        http,
        line=line.replace(b"%b", new_name().encode()),
        fields=[field.replace(b"%d", b"%d" % len(smuggled)) for field in fields],
        body=smuggled,
    )
    before = http.mirror.stored("web1")
    answer = say(http, request)
    assert answer.startswith(b"HTTP/1.1 %b " % status), answer
    assert answer.count(b"HTTP/1.1 ") == 1
    assert http.mirror.stored("web1") == before


REFUSED_LINES = [
    b"PUT  /web1/%b HTTP/1.1",
    b"PUT /web1/%b  HTTP/1.1",
    b"PUT /web1/%b HTTP/1.1 ",
    b" PUT /web1/%b HTTP/1.1",
    b"PUT /web1/%b HTTP/1.2",
    b"PUT /web1/%b HTTP/2.0",
    b"PUT /web1/%b HTTP/+1.1",
    b"PUT /web1/%b HTTP/1.01",
    b"PUT /web1/%b http/1.1",
    b"PUT /web1/%b",
    b"PUT /web1/a b/%b HTTP/1.1",
    b"PUT\t/web1/%b HTTP/1.1",
    b"PUT /web1/\0%b HTTP/1.1",
    b"P(T /web1/%b HTTP/1.1",
]


@pytest.mark.parametrize("line", REFUSED_LINES)
def test_bad_request_line_is_refused(http: Served, line: bytes) -> None:
    request = put_request(http, line=line % new_name().encode(), fields=[b"Content-Length: 5"])
    assert say(http, request).startswith(b"HTTP/1.1 400 ")


def test_http_1_0_with_chunks_is_refused(http: Served) -> None:
    line = b"PUT /web1/%s HTTP/1.0" % new_name().encode()
    request = put_request(http, line=line, fields=[b"Transfer-Encoding: chunked"], body=CHUNKED)
    assert say(http, request).startswith(b"HTTP/1.1 400 ")


def test_http_1_0_with_length_works_and_closes(http: Served) -> None:
    line = b"PUT /web1/%s HTTP/1.0" % new_name().encode()
    answer = say(http, put_request(http, line=line, fields=[b"Content-Length: 5"]))
    assert answer.startswith(b"HTTP/1.1 201 ")
    assert b"Connection: close" in answer


def test_http_1_1_without_host_is_refused(http: Served) -> None:
    assert say(http, b"OPTIONS /web1/ HTTP/1.1\r\n\r\n").startswith(b"HTTP/1.1 400 ")


def test_unknown_expectation_is_refused(http: Served) -> None:
    request = put_request(http, fields=[b"Content-Length: 5", b"Expect: miracles"])
    assert say(http, request).startswith(b"HTTP/1.1 417 ")


def test_endless_head_is_refused(served: Served) -> None:
    for octets in (b"X" * 200_000, b"PUT / HTTP/1.1\r\n" + b"X: y\r\n" * 50_000):
        assert say(served, octets)[:13] in (b"HTTP/1.1 431 ", b"")


BAD_TARGETS = [
    f"/web1/../web2/{GOOD_NAME}",
    f"/web1/./{GOOD_NAME}",
    f"//web1/{GOOD_NAME}",
    f"/web1//{GOOD_NAME}",
    f"/web1/{GOOD_NAME}/",
    f"/web1/x/{GOOD_NAME}",
    f"/web1%2F{GOOD_NAME}",
    f"/web1/%2e%2e/{GOOD_NAME}",
    f"/web1/{GOOD_NAME.replace('d', '%64', 1)}",
    f"/web%31/{GOOD_NAME}",
    f"/web1\\{GOOD_NAME}",
    f"/web1/{GOOD_NAME}%00",
    f"/web1/{GOOD_NAME}\x01",
    f"/web1/{GOOD_NAME}\x7f",
    f"/web1/{GOOD_NAME}%0d%0a",
    f"/web1/{GOOD_NAME}?x",
    f"/web1/{GOOD_NAME}#x",
    f"/web1/{GOOD_NAME};x",
    f"/web1/{GOOD_NAME}\xff",
    f"/web1/{GOOD_NAME}é",
    f"/WEB1/{GOOD_NAME}",
    f"/web1/{GOOD_NAME.upper()}",
    "/web1/.htpasswd",
    "/web1/duplicity-full.20260102T030405Z.manifest.gpg",
    f"/web1/kind-full.20260102T030405Z.{'a' * 256}.p7m",
    f"/{GOOD_NAME}",
    f"web1/{GOOD_NAME}",
    f"http://127.0.0.1/web1/{GOOD_NAME}",
    "*",
]


@pytest.mark.parametrize("target", BAD_TARGETS)
def test_bad_target_is_refused_before_the_disk(http: Served, target: str) -> None:
    before = http.mirror.stored("web1"), http.mirror.stored("web2")
    line = b"PUT " + target.encode() + b" HTTP/1.1"
    answer = say(http, put_request(http, line=line, fields=[b"Content-Length: 5"]))
    assert answer.startswith(b"HTTP/1.1 403 "), answer
    assert (http.mirror.stored("web1"), http.mirror.stored("web2")) == before


def test_no_request_forges_a_log_line(recipient: Path, tmp_path: Path) -> None:
    """Whatever stands in method, target, user or fields, a request is one line, and plain characters."""
    forged = "2026-01-02T03:04:05Z 192.0.2.1 web2 PUT /web2/x 201 1 0.001"
    requests = [
        f"PUT /web1/x%0a{forged.replace(' ', '%20')} HTTP/1.1\r\nHost: x\r\n\r\n".encode(),
        f"PUT /\x0b\x1b[2J\x85\u2028{forged.replace(' ', '_')} HTTP/1.1\r\nHost: x\r\n\r\n".encode(),
        b"PUT /web1/\xff\xfe\x9b31m HTTP/1.1\r\nHost: x\r\n\r\n",
        b"PUT /web1/x\r" + forged.encode() + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GE\x1bT / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"\x1b]0;title\x07" * 100 + b"\r\n\r\n",
    ]
    bad_users = [f"web1\n{forged}", "web1\r\n" + forged, "\x1b[31mweb1", "a" * 10_000]
    # One of its own: nobody else has lines to add.
    with Mirror(tmp_path, "logging", [recipient], tls=False) as mirror:
        for request in requests:
            assert say(Served(mirror, {}), request).startswith(b"HTTP/1.1 4")
        for user in bad_users:
            assert mirror.ask("OPTIONS", "/web1/", None, basic(user, "x")).status == 401
        new = mirror.log.read_text()
    lines = new.splitlines()
    assert len(lines) == len(requests) + len(bad_users)
    assert new.replace("\n", "").isprintable()
    assert not any(line.startswith("2026-01-02T03:04:05Z") for line in lines)
    assert all(len(line) < 1000 for line in lines)


@BOUNDED
@given(st.binary(max_size=200))
def test_any_target_is_a_place_or_403(raw: bytes) -> None:
    try:
        place = find_place(raw.decode("latin-1"), "")
    except Refused as refused:
        assert refused.status == 403
    else:
        assert raw.decode("latin-1").rstrip("/") == f"/{place.host}/{place.name}".rstrip("/")


@BOUNDED
@given(st.lists(st.binary(max_size=60).filter(lambda line: b"\n" not in line), max_size=6))
def test_any_head_is_read_or_refused(lines: list[bytes]) -> None:
    """No bytes make the reader fail in another way; what it reads has the framing that its fields say."""
    lines = [b"PUT /web1/x HTTP/1.1\r\n", b"Host: x\r\n", *(line + b"\r\n" for line in lines)]
    try:
        head = parse_head(lines)
    except Refused as refused:
        assert 400 <= refused.status < 500
    else:
        assert (head.length is None) == ("transfer-encoding" in head.fields)
        assert head.declared == bool({"transfer-encoding", "content-length"} & set(head.fields))


@pytest.mark.parametrize("prefix", ["/nightdrop", "/a/b"])
def test_prefix_of_the_url_is_part_of_every_path(prefix: str) -> None:
    place = find_place(f"{prefix}/web1/{GOOD_NAME}", prefix)
    assert (place.host, place.name) == ("web1", GOOD_NAME)
    for target in (f"/web1/{GOOD_NAME}", f"{prefix}web1/{GOOD_NAME}", f"/x{prefix}/web1/{GOOD_NAME}"):
        with pytest.raises(Refused):
            find_place(target, prefix)
