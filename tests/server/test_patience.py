"""Slow, silent and rude clients cost nobody else anything: no thread, no memory, no wait."""

import resource
import socket
import time
from contextlib import ExitStack, suppress

import pytest

from nightdrop_server.listener import SILENT, THREADS

from mirrors import Served, basic, new_name, wait_until

MEGABYTE = 1024 * 1024


def test_answers_401_before_any_body(served: Served) -> None:
    """With and without Expect, a wrong password is told before a byte of the body was sent, and nobody
    is invited to send it.
    """
    for expect in ("", "Expect: 100-continue\r\n"):
        for who in ({}, basic("web1", "wrong"), basic("nobody", "wrong")):
            head = "".join(f"{name}: {value}\r\n" for name, value in who.items())
            with served.mirror.connect() as sock:
                sock.sendall(
                    f"PUT /web1/{new_name()} HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n"
                    f"{expect}{head}\r\n".encode()
                )
                answer = sock.recv(65536)
            assert answer.startswith(b"HTTP/1.1 401 ")
            assert b"100 Continue" not in answer
            assert b"Connection: close" in answer


REFUSED_LATE = {
    "bad name": ("/web1/notes.txt", 403),
    "elsewhere": ("/web2/duplicity-full.20260102T030405Z.manifest.p7m", 403),
}


@pytest.mark.parametrize("case", REFUSED_LATE.values(), ids=REFUSED_LATE)
def test_no_100_where_the_body_is_not_wanted(served: Served, case: tuple[str, int]) -> None:
    path, status = case
    head = "".join(f"{name}: {value}\r\n" for name, value in served.fields().items())
    with served.mirror.connect() as sock:
        sock.sendall(
            f"PUT {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n"
            f"Expect: 100-continue\r\n{head}\r\n".encode()
        )
        assert sock.recv(65536).startswith(f"HTTP/1.1 {status} ".encode())


def test_100_comes_when_the_body_is_wanted(served: Served) -> None:
    head = "".join(f"{name}: {value}\r\n" for name, value in served.fields().items())
    with served.mirror.connect() as sock:
        sock.sendall(
            f"PUT /web1/{new_name()} HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n"
            f"Expect: 100-continue\r\n{head}\r\n".encode()
        )
        assert sock.recv(65536) == b"HTTP/1.1 100 Continue\r\n\r\n"
        sock.sendall(b"hello")
        assert sock.recv(65536).startswith(b"HTTP/1.1 201 ")


def test_refused_bodies_do_not_grow_memory(served: Served) -> None:
    """50 MB under a wrong password, and under a bad name, each sent whether it is wanted or not."""
    served.put(new_name(), b"x" * 3 * MEGABYTE)
    before = served.mirror.memory()
    for fields, path in (
        (basic("web1", "wrong"), f"/web1/{new_name()}"),
        (served.fields(), "/web1/notes.txt"),
    ):
        head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
        with served.mirror.connect() as sock:
            sock.sendall(
                f"PUT {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 50000000\r\n{head}\r\n".encode()
            )
            try:
                for _ in range(50):
                    sock.sendall(b"x" * 1_000_000)
            except OSError:
                pass
    assert served.mirror.memory() - before < 8 * MEGABYTE


def test_one_huge_chunk_does_not_grow_memory(http: Served) -> None:
    http.put(new_name(), b"x" * 3 * MEGABYTE)
    before = http.mirror.memory()
    head = "".join(f"{name}: {value}\r\n" for name, value in http.fields().items())
    with http.mirror.connect() as sock:
        sock.sendall(
            f"PUT /web1/{new_name()} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n{head}\r\n"
            "7fffffff\r\n".encode()
        )
        for _ in range(100):
            sock.sendall(b"x" * 1_000_000)
        assert http.mirror.memory() - before < 8 * MEGABYTE


def test_silent_connections_block_nobody(served: Served) -> None:
    """Twice as many as there are threads, saying nothing: over TLS not even hello."""
    address = (served.mirror.address, served.mirror.port)
    took = float(SILENT)
    # Who is silent for too long has to go: on a busy machine it takes several times.
    while took >= SILENT:
        begun = time.monotonic()
        with ExitStack() as stack:
            silent = [stack.enter_context(socket.create_connection(address)) for _ in range(2 * THREADS)]
            assert served.put(new_name(), b"x" * MEGABYTE).status == 201
            there = sum(map(is_there, silent))
            took = time.monotonic() - begun
    # And none of them had to go for that.
    assert there == len(silent)


def is_there(sock: socket.socket) -> bool:
    """Whether the other side has neither said anything nor gone."""
    sock.setblocking(False)
    try:
        sock.recv(1)
    except BlockingIOError:
        return True
    return False


def test_more_silent_connections_than_are_kept(http: Served) -> None:
    """Whoever has been silent longest makes room; a host that speaks is heard."""
    with ExitStack() as stack:
        address = (http.mirror.address, http.mirror.port)
        resource.setrlimit(resource.RLIMIT_NOFILE, (4096, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
        silent = [stack.enter_context(socket.create_connection(address)) for _ in range(1200)]
        assert http.put(new_name(), b"x").status == 201
        assert silent[0].recv(1) == b""
    # Until they are counted out, it keeps no other connection.
    wait_until(lambda: http.mirror.sockets() < 100, "they are gone")


def test_handshakes_that_are_only_begun_do_not_push_others_out(https: Served) -> None:
    """They have more time than a connection that says nothing yet, but who was there first goes first."""
    address = (https.mirror.address, https.mirror.port)
    resource.setrlimit(resource.RLIMIT_NOFILE, (4096, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
    with ExitStack() as stack:

        def begin_handshakes(number: int) -> list[socket.socket]:
            begun = [stack.enter_context(socket.create_connection(address)) for _ in range(number)]
            for sock in begun:
                sock.sendall(b"\x16\x03\x01\x02\x00")
            return begun

        first = begin_handshakes(1000)
        silent = stack.enter_context(socket.create_connection(address))
        begin_handshakes(200)
        wait_until(lambda: not is_there(first[100]), "the first have made room")
        assert is_there(silent)
    # Until they are counted out, it keeps no other connection.
    wait_until(lambda: https.mirror.sockets() < 100, "they are gone")


def test_plain_http_to_a_tls_door_is_told_so(https: Served) -> None:
    with socket.create_connection((https.mirror.address, https.mirror.port)) as sock:
        sock.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        answer = sock.recv(65536)
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b"https://" in answer


def test_garbage_instead_of_tls_is_survived(https: Served) -> None:
    for octets in (b"\x16\x03\x01\x02\x00\x01" + b"\xff" * 600, b"\0" * 100, b"\x80\x2e\x01\x00\x02"):
        with socket.create_connection((https.mirror.address, https.mirror.port)) as sock:
            sock.sendall(octets)
            # It may have hung up on this already.
            with suppress(OSError):
                sock.shutdown(socket.SHUT_WR)
                sock.recv(100)
    assert https.put(new_name(), b"x").status == 201
