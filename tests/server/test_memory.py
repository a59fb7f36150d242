"""How much memory the door takes: at rest, with many uploads, and under requests made to fill it."""

import socket
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from mirrors import AT_ONCE, TIMES, Mirror, basic, new_name, wait_until

MB = 1_000_000
GROWTH = 16 * MB


@pytest.fixture(scope="module", params=["https", "http"])
def fresh(
    request: pytest.FixtureRequest, recipient: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Mirror]:
    """A mirror of this module's own, with two hosts."""
    with Mirror(
        tmp_path_factory.mktemp("memory"), "fresh", [recipient], request.param == "https"
    ).start() as mirror:
        for host in ("web1", "web2"):
            mirror.enroll(host, mirror.root / f"{host}.toml")
            mirror.knows(mirror.root / f"{host}.toml")
        yield mirror


def head(mirror: Mirror, host: str, *fields: str) -> bytes:
    """The head of a PUT by a host."""
    [credentials] = mirror.credentials(mirror.root / f"{host}.toml").values()
    lines = [f"PUT /{host}/{new_name()} HTTP/1.1", "Host: x", f"Authorization: {credentials}", *fields]
    return "\r\n".join([*lines, "", ""]).encode()


def pour(sock: socket.socket, octets: int) -> None:
    """Send so much, or until the door has had enough."""
    with suppress(OSError):
        for _ in range(octets // MB):
            sock.sendall(b"x" * MB)


def test_at_rest_and_with_64_uploads(fresh: Mirror) -> None:
    assert fresh.memory() < 80 * MB
    with ExitStack() as stack:
        uploads = []
        for host in ("web1", "web2"):
            for _ in range(AT_ONCE):
                sock = stack.enter_context(fresh.connect())
                sock.sendall(head(fresh, host, f"Content-Length: {10 * MB}"))
                uploads.append(sock)
        # A little of each at a time: on a busy machine none is silent for so long that it is ended.
        for _ in range(30):
            for sock in uploads:
                sock.sendall(b"x" * (MB // 10))
        wait_until(lambda: fresh.uploads() >= 2 * AT_ONCE, "all of them are being written")
        most = fresh.memory()
    print(f"with {2 * AT_ONCE} uploads: {most / MB:.0f} MB")
    assert most < 200 * MB


ATTACKS = {
    "headers": b"PUT / HTTP/1.1\r\nHost: x\r\nX: ",
    "a line": b"",
    "a wrong password": b"PUT /web1/x HTTP/1.1\r\nHost: x\r\nContent-Length: 200000000\r\n\r\n",
    "a wrong password, and Expect": b"PUT /web1/x HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n"
    b"Content-Length: 200000000\r\n\r\n",
    "a propfind": b"",
    "a chunk": b"",
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_no_request_makes_memory_grow(fresh: Mirror, attack: str) -> None:
    """200 MB of each, on a mirror that is warm; the chunk says that it has 2 GB."""
    octets = ATTACKS[attack]
    if attack == "a propfind":
        octets = head(fresh, "web1", "Content-Length: 200000000").replace(b"PUT", b"PROPFIND")
    if attack == "a chunk":
        octets = head(fresh, "web1", "Transfer-Encoding: chunked") + b"7fffffff\r\n"
    for round_number in range(3):
        with fresh.connect() as sock:
            if round_number:
                with suppress(OSError):
                    sock.sendall(octets)
                pour(sock, 200 * MB)
            else:
                sock.sendall(head(fresh, "web1", f"Content-Length: {3 * MB}"))
                pour(sock, 3 * MB)
                before = fresh.memory()
    assert fresh.memory() - before < GROWTH


def test_connections_in_a_row_do_not_make_memory_grow(fresh: Mirror) -> None:
    """Each with a request of a host, of a stranger, or none, kept alive until the client goes."""
    fields = fresh.credentials(fresh.root / "web1.toml")
    for number in range(600 * TIMES):
        connection = fresh.connection()
        connection.request(
            "OPTIONS", "/web1/", headers=basic("web1", "x") if number % 50 == 3 else fields
        )
        assert connection.getresponse().read() is not None
        connection.close()
        if number == 200:
            before = fresh.memory()
    grown = fresh.memory() - before
    print(f"grown by {grown / MB:.1f} MB")
    assert grown < GROWTH
