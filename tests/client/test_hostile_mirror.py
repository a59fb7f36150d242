"""Mirrors that answer as no honest one does, or not at all: the run goes on, within bounds."""

import os
import shutil
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from house import HOST, House, Key
from mirrors import Mirror, wait_until
from trees import describe, differences

Answer = Callable[[ssl.SSLSocket], None]

POLITE = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
TAKEN = b"HTTP/1.1 201 Created\r\nContent-Length: 2000\r\n\r\n" + b"x" * 2000
LONG_ENOUGH = 120.0
"""Seconds that a mirror dribbles, before it says after all that it took the file. A run that was still
waiting then would be a good one, and the test would fail.
"""


def says(octets: bytes) -> Answer:
    return lambda sock: sock.sendall(octets)


def fails_with(status: str) -> Answer:
    return says(f"HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode())


def dribbles(beginning: bytes) -> Answer:
    def answer(sock: ssl.SSLSocket) -> None:
        sock.sendall(beginning)
        end = time.monotonic() + LONG_ENOUGH
        while time.monotonic() < end:
            sock.sendall(b"x")
            time.sleep(0.1)
        sock.sendall(b": x\r\n\r\n")

    return answer


def is_silent(sock: ssl.SSLSocket) -> None:
    sock.settimeout(LONG_ENOUGH)
    while sock.recv(65536):
        pass
    sock.sendall(TAKEN)


def resets(sock: ssl.SSLSocket) -> None:
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


ODDLY: dict[str, Answer] = {
    "nothing, and hangs up": says(b""),
    "no HTTP": says(b"220 welcome to the mail server\r\n"),
    "an endless body": says(
        b"HTTP/1.1 500 Oops\r\nContent-Length: 99999999999\r\n\r\n" + b"x" * 1_000_000
    ),
    "escapes": says(b"HTTP/1.1 403 No\r\nContent-Length: 9\r\n\r\n\x1b[31mred!\n"),
    "a redirection": says(
        b"HTTP/1.1 301 There\r\nLocation: https://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n"
    ),
    "broken compression": says(
        b"HTTP/1.1 403 No\r\nContent-Encoding: gzip\r\nContent-Length: 1\r\n\r\n\x1f"
    ),
}
"""What it does from the start."""

THEN: dict[str, Answer] = {
    "200, like a log-in page": fails_with("200 OK"),
    "500": fails_with("500 Oops"),
    "503": fails_with("503 Later"),
    "507": fails_with("507 Full"),
    "401": fails_with("401 Who"),
    "silence": is_silent,
    "a reset": resets,
    "a head that dribbles": dribbles(b"HTTP/1.1 201 Created\r\nContent-Length: 0\r\nX-"),
    "a body that dribbles": dribbles(b"HTTP/1.1 500 Oops\r\nContent-Length: 99999\r\n\r\n"),
}
"""What it does when it is sent a file, after it was polite."""


@pytest.fixture(scope="module")
def one_mirror(tmp_path_factory: pytest.TempPathFactory, admin_key: Key) -> Iterator[House]:
    """A house of which the second mirror was never started."""
    house = House(tmp_path_factory.mktemp("house"), admin_key)
    (house.source / "file").write_bytes(os.urandom(10_000))
    # It makes its certificate when it starts.
    house.mirrors[1].start()
    house.mirrors[1].stop()
    house.mirrors[0].start()
    yield house
    house.close()


@pytest.mark.parametrize("answer", ODDLY.values(), ids=ODDLY.keys())
def test_one_mirror_answers_oddly(one_mirror: House, answer: Answer) -> None:
    configure_grace(one_mirror, 1)
    with answering(one_mirror.mirrors[1], answer):
        assert_only_the_other_has_it(one_mirror, one_mirror.backup(expect=3))


@pytest.mark.parametrize("answer", THEN.values(), ids=THEN.keys())
def test_one_mirror_fails_in_the_middle(one_mirror: House, answer: Answer) -> None:
    """What it may cost is `grace`: without that bound, each of these would be waited for."""
    configure_grace(one_mirror, 5)
    greeted = len(one_mirror.requests(0))

    def be_polite(sock: ssl.SSLSocket) -> None:
        # The honest one would have no more time than that to answer once the other was polite.
        wait_until(lambda: len(one_mirror.requests(0)) > greeted, "the honest one answers")
        sock.sendall(POLITE)

    with answering(one_mirror.mirrors[1], answer, greeting=be_polite):
        facts = one_mirror.backup(expect=3)
    assert_only_the_other_has_it(one_mirror, facts)


def configure_grace(house: House, seconds: int) -> None:
    folders = f'include = ["{house.source}"]\n[limits]\ngrace = "{seconds}s"'
    house.configure('volume_size = "1M"', 'patience = "60s"', folders=folders)


def assert_only_the_other_has_it(house: House, facts: dict[str, object]) -> None:
    assert facts["mirrors_lacking"] == ["mirror-b"]
    failures = facts["mirror_failures"]
    assert isinstance(failures, dict)
    assert list(failures) == ["mirror-b"]
    assert failures["mirror-b"].isprintable()
    assert "certificate" not in failures["mirror-b"]
    assert f"{facts['set']}.receipt.json" in house.names(0)


def test_a_mirror_set_back_or_emptied_changes_nothing_here(house: House, tmp_path: Path) -> None:
    """The client never asks what a mirror has, so it cannot be told anything wrong."""
    (house.source / "file").write_text("one")
    house.backup()
    vault = house.mirrors[1].vault / HOST
    before = tmp_path / "before"
    shutil.copytree(vault, before)
    (house.source / "file").write_text("two, longer")
    # duplicity compares whole seconds.
    os.utime(house.source / "file", (1, 1))
    house.backup()
    local = set(os.listdir(house.state / "archive" / "backup"))
    for number, old in enumerate((list(before.iterdir()), [])):
        for path in vault.iterdir():
            path.unlink()
        for path in old:
            shutil.copy2(path, vault)
        (house.source / f"new-{number}").write_text("new")
        assert house.backup()["type"] == "inc"
        assert local < set(os.listdir(house.state / "archive" / "backup"))
    assert {method for method, _, _ in house.requests(1)} == {"OPTIONS", "PUT"}
    restored = house.restore(tmp_path / "restored", mirror=0)
    assert differences(describe(house.source), describe(restored)) == {}


@contextmanager
def answering(mirror: Mirror, answer: Answer, greeting: Answer | None = None) -> Iterator[None]:
    """In a mirror's place and with its certificate: gives this answer to whatever comes; with a
    `greeting`, that to OPTIONS.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(mirror.certificate, mirror.state / "tls.key")
    listening = socket.create_server((mirror.address, mirror.port))

    def serve_one(plain: socket.socket) -> None:
        with suppress(OSError), context.wrap_socket(plain, server_side=True) as sock:
            sock.settimeout(LONG_ENOUGH)
            head = sock.recv(65536)
            if greeting and head.startswith(b"OPTIONS"):
                greeting(sock)
                head = sock.recv(65536)
            if head:
                answer(sock)

    def serve() -> None:
        while True:
            try:
                plain, _ = listening.accept()
            except OSError:
                return
            threading.Thread(target=serve_one, args=[plain], daemon=True).start()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield
    finally:
        listening.shutdown(socket.SHUT_RDWR)
        listening.close()
        thread.join()
