"""What does not get on is ended: heads that dribble, bodies that stall. Handshakes are waited for."""

import socket
import ssl
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest

from nightdrop_server.conversation import HEAD_DEADLINE
from nightdrop_server.wire import IDLE

from mirrors import PATIENCE, Served, new_name


@pytest.mark.slow
def test_what_does_not_get_on_is_ended(https: Served, http: Served) -> None:
    """All of it at once, because each takes as long as a client may take."""
    cases: list[Callable[[], None]] = [
        lambda: dribble_a_head(http, 0.05),
        lambda: dribble_a_head(http, 0.5),
        lambda: stall_in_a_body(http),
        lambda: stall_in_a_body(https),
        lambda: calculate_for_long(https),
    ]
    with ThreadPoolExecutor(len(cases)) as pool:
        for ended in [pool.submit(case) for case in cases]:
            ended.result()


def dribble_a_head(served: Served, period: float) -> None:
    """A head is ended at its deadline, however regularly its bytes come, and how fast."""
    with served.mirror.connect() as sock:
        started = time.monotonic()
        sock.sendall(b"PUT /web1/x HTTP/1.1\r\n")
        with pytest.raises(OSError):
            while time.monotonic() - started < HEAD_DEADLINE + PATIENCE:
                sock.sendall(b"X")
                time.sleep(period)
        assert time.monotonic() - started > HEAD_DEADLINE - 1


def stall_in_a_body(served: Served) -> None:
    """It is answered, and nothing is kept."""
    name = new_name()
    with served.mirror.connect(timeout=IDLE + PATIENCE) as sock:
        head = "".join(f"{field}: {value}\r\n" for field, value in served.fields().items())
        request = f"PUT /web1/{name} HTTP/1.1\r\nHost: x\r\nContent-Length: 9999\r\n{head}\r\n"
        sock.sendall(request.encode() + b"x" * 5000)
        answer = sock.recv(65536)
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert answer.endswith(b"\r\n\r\nthe body stalled after 5000 of 9999 bytes; nothing kept\n")
    assert name not in served.mirror.stored("web1")


def calculate_for_long(served: Served) -> None:
    """In a handshake a busy router takes longer than a head may, and is answered."""
    come, to_send = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = served.mirror.tls_context().wrap_bio(come, to_send, server_hostname=served.mirror.address)
    with socket.create_connection((served.mirror.address, served.mirror.port), PATIENCE) as sock:
        while tls.version() is None:
            with suppress(ssl.SSLWantReadError):
                tls.do_handshake()
            if tls.version() is None:
                # A second time where the door wants another group than was offered first.
                sock.sendall(to_send.read())
                octets = sock.recv(65536)
                assert octets, "the door hung up"
                come.write(octets)
        time.sleep(HEAD_DEADLINE + 1)
        fields = "".join(f"{field}: {value}\r\n" for field, value in served.fields().items())
        tls.write(f"OPTIONS /web1/ HTTP/1.1\r\nHost: x\r\n{fields}\r\n".encode())
        sock.sendall(to_send.read())
        answer = b""
        while not answer:
            octets = sock.recv(65536)
            assert octets, "the door hung up"
            come.write(octets)
            with suppress(ssl.SSLWantReadError):
                answer = tls.read()
    assert answer.startswith(b"HTTP/1.1 200 ")
