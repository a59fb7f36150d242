"""Answers that no honest mirror gives: the run goes on, bounded, and says what it got."""

import os
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from house import House
from mirrors import Mirror

ANSWERS = {
    "nothing, and hangs up": b"",
    "no HTTP": b"220 welcome to the mail server\r\n",
    "an endless body": b"HTTP/1.1 500 Oops\r\nContent-Length: 99999999999\r\n\r\n" + b"x" * 1_000_000,
    "escapes": b"HTTP/1.1 403 No\r\nContent-Length: 9\r\n\r\n\x1b[31mred!\n",
    "a redirection": b"HTTP/1.1 301 There\r\nLocation: https://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n",
    "broken compression": b"HTTP/1.1 403 No\r\nContent-Encoding: gzip\r\nContent-Length: 1\r\n\r\n\x1f",
}


@pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS.keys())
def test_one_mirror_answers_oddly(house: House, answer: bytes) -> None:
    (house.source / "file").write_bytes(os.urandom(10_000))
    house.mirrors[1].stop()
    with answering(house.mirrors[1], answer):
        facts = house.backup(expect=3)
    assert facts["mirrors_lacking"] == ["mirror-b"]
    failures = facts["mirror_failures"]
    assert isinstance(failures, dict)
    assert failures["mirror-b"].isprintable()
    assert "certificate" not in failures["mirror-b"]
    assert any(name.endswith(".receipt.json") for name in house.names(0))


@contextmanager
def answering(mirror: Mirror, answer: bytes) -> Iterator[None]:
    """In a mirror's place and with its certificate: gives this answer to whatever comes."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(mirror.certificate, mirror.state / "tls.key")
    listening = socket.create_server((mirror.address, mirror.port))

    def serve() -> None:
        while True:
            try:
                plain, _ = listening.accept()
            except OSError:
                return
            try:
                with context.wrap_socket(plain, server_side=True) as sock:
                    sock.recv(65536)
                    sock.sendall(answer)
            except OSError:
                continue

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield
    finally:
        listening.shutdown(socket.SHUT_RDWR)
        listening.close()
        thread.join()
