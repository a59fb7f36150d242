"""Bodies, and answers, that crawl or come in crumbs: what they may cost others has an end."""

import socket
import ssl
import threading
from contextlib import nullcontext, suppress
from hashlib import sha256
from itertools import pairwise
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from certificates import make_certificate, to_pem
from nightdrop_server.body import Body
from nightdrop_server.conversation import MIN_RATE, RATE_WINDOW, Conversation
from nightdrop_server.heads import parse_head
from nightdrop_server.log import access
from nightdrop_server.shares import Share
from nightdrop_server.store import read_body
from nightdrop_server.wire import Wire

from mirrors import wait_until

MB = 1_000_000
PIECE = 100


@pytest.mark.parametrize(("size", "rests"), [(1, 11), (500, 5), (2000, 0)])
def test_who_sends_small_chunks_rests(size: int, rests: int) -> None:
    """A chunk of one octet is as much work as one of thousands: thirty such bodies at once would leave
    next to nothing for others. A body whose chunks are as they should be is not held up.
    """
    chunks = b"%x\r\n%b\r\n" % (size, b"x" * size) * 3000 + b"0\r\n\r\n"
    fields = [b"PUT / HTTP/1.1\r\n", b"Host: x\r\n", b"Transfer-Encoding: chunked\r\n"]
    rested: list[int] = []
    ours, theirs = socket.socketpair()
    with ours, theirs:
        body = Body(parse_head(fields), Wire(ours))
        threading.Thread(target=theirs.sendall, args=(chunks,)).start()
        written = read_body(body, 3000 * size, share_of(body, rested))
    assert written is not None
    assert (written.size, written.sha256) == (3000 * size, sha256(b"x" * 3000 * size).hexdigest())
    assert len(rested) == rests
    # A chunk that comes in two pieces may be cut by a rest, and counts once: a rest is early or late by
    # less than a chunk, and what lies between two of them by less than two.
    apart = [after - before for before, after in pairwise(rested)] or [0]
    assert max(apart) - min(apart) < 2 * size, "they are evenly spread"


@pytest.mark.parametrize(("size", "rests"), [(1, 9), (500, 5), (2000, 0)])
def test_who_sends_small_records_of_tls_rests(size: int, rests: int, tmp_path: Path) -> None:
    """They are as much work as small chunks, in a body that says its length, too."""
    rested: list[int] = []
    ours, theirs = tls_pair(tmp_path)
    with ours, theirs:
        threading.Thread(target=send_records, args=(theirs, 3000, b"x" * size)).start()
        ours.do_handshake()
        fields = [b"PUT / HTTP/1.1\r\n", b"Host: x\r\n", b"Content-Length: %d\r\n" % (3000 * size)]
        wire = Wire(ours)
        wire.may_wait(True)
        body = Body(parse_head(fields), wire)
        written = read_body(body, 3000 * size, share_of(body, rested))
    assert written is not None
    assert (written.size, written.sha256) == (3000 * size, sha256(b"x" * 3000 * size).hexdigest())
    assert len(rested) == rests


def tls_pair(folder: Path) -> tuple[ssl.SSLSocket, ssl.SSLSocket]:
    """Two ends of a connection over TLS; the handshake is ours to begin."""
    key = ec.generate_private_key(ec.SECP256R1())
    (folder / "pem").write_bytes(to_pem(key) + to_pem(make_certificate(key, "x")))
    server, client = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    server.load_cert_chain(folder / "pem")
    client.check_hostname, client.verify_mode = False, ssl.CERT_NONE
    ours, theirs = socket.socketpair()
    return (
        server.wrap_socket(ours, server_side=True, do_handshake_on_connect=False),
        client.wrap_socket(theirs, do_handshake_on_connect=False),
    )


def send_records(sock: ssl.SSLSocket, number: int, octets: bytes) -> None:
    """Send as many records with these octets in each. The handshake comes with the first."""
    for _ in range(number):
        sock.sendall(octets)


def share_of(body: Body, rested: list[int]) -> Share:
    """A share that has all turns at once, and notes how much was read before each rest."""
    return Share(lambda _octets: nullcontext(enter_result=True), lambda: rested.append(body.read))


@pytest.mark.parametrize(
    ("direction", "rate"), [("body", MIN_RATE // 2), ("body", MIN_RATE * 2), ("answer", MIN_RATE // 2)]
)
def test_what_crawls_is_ended(direction: str, rate: int) -> None:
    """A body or an answer has to move. The clock here is how often it is looked at: each second."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        wire = Wire(ours)
        conversation = Conversation(wire, "-", access, ours.close)
        moving = threading.Thread(target=_receive if direction == "body" else _send, args=(wire,))
        moving.start()
        ended = False
        # What is sent first fills the kernel's buffers, so an answer begins well.
        for second in range(1, (10 if rate < MIN_RATE else 2) * RATE_WINDOW + 2):
            if direction == "body":
                theirs.sendall(b"x" * rate)
                wait_until(lambda: wire.received > second * rate - PIECE and wire.waiting, "it is read")  # noqa: B023
            else:
                theirs.recv(rate, socket.MSG_WAITALL)
            if ended := conversation.crawls():
                break
        theirs.shutdown(socket.SHUT_RDWR)
        moving.join()
    assert ended == (rate < MIN_RATE)


def _receive(wire: Wire) -> None:
    buffer = memoryview(bytearray(PIECE))
    with suppress(Exception):
        while True:
            wire.into(buffer)


def _send(wire: Wire) -> None:
    with suppress(Exception):
        wire.send(bytes(50 * MB))
