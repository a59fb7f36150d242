"""Mirrors that are away, break off, stand still, refuse or are not themselves: the other has it all."""

import os
import signal
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from check.signers import make_signer
from snowflakes.clients import Client, broken, end
from snowflakes.conftest import NewClient

from mirrors import PATIENCE


def test_mirror_away(some_client: Client) -> None:
    some_client.set(patience=1)
    with broken(some_client, 1, [0]):
        said = some_client.drop("conf", "echo", "one", expect=3)
    assert "the mirror mirror-b is lost for this run: " in said
    assert len(some_client.receipts(0)) == 1
    assert some_client.names(1) == []


def test_both_away_and_the_command_never_runs(new_client: NewClient, tmp_path: Path) -> None:
    client = new_client()
    client.set(patience=1)
    with broken(client, 0, [0]), broken(client, 1, [0]):
        said = client.drop("conf", "touch", tmp_path / "ran", expect=1)
    assert "no mirror takes the backups of router1; mirror-a: " in said
    assert not (tmp_path / "ran").exists()


def test_a_volume_that_broke_off_is_sent_again(some_client: Client, noise: Path) -> None:
    # Greeted, half of the first volume, then all of it, and everything else.
    with broken(some_client, 1, [None, 500_000, None]) as network:
        said = some_client.drop("mtd", "cat", noise)
    assert "on mirror-a, mirror-b" in said
    assert network.connections == 6
    assert some_client.names(0) == some_client.names(1)
    assert some_client.opened(1) == noise.read_bytes()


@pytest.mark.parametrize("stall", [False, True], ids=["breaks off", "stands still"])
@pytest.mark.parametrize("volume", ["1M", "stream"])
def test_mirror_stops_after_some_octets(
    new_client: NewClient, noise: Path, volume: str, stall: bool
) -> None:
    client = new_client("ash")
    client.set(volume=volume, patience=1)
    with broken(client, 1, [None, 1_500_000, 500_000, 0], stall=stall):
        said = client.drop("mtd", "cat", noise, expect=3)
    assert "not on every mirror: mirror-b lacks it" in said
    assert client.opened(0) == noise.read_bytes()
    assert client.receipts(1) == []
    assert not any(".vol2." in name for name in client.names(1))


def test_both_break_off_and_there_is_no_receipt(new_client: NewClient, noise: Path) -> None:
    client = new_client()
    client.set(volume="stream", patience=1)
    with broken(client, 0, [None, 500_000]), broken(client, 1, [None, 700_000]):
        said = client.drop("mtd", "cat", noise, expect=1)
    assert "no mirror took the stream; mirror-a: " in said
    assert client.names(0) == client.names(1) == []


@pytest.mark.parametrize("volume", ["1M", "stream"])
def test_killed_curl(new_client: NewClient, noise: Path, volume: str) -> None:
    client = new_client("ash")
    client.set(volume=volume, patience=60)
    # Greeted; the first file stands still in the middle, so that its curl is there until it is killed.
    with broken(client, 1, [None, 500_000, None], stall=True) as network:
        run = client.begin("mtd", "cat", noise)
        assert network.still.wait(PATIENCE)
        os.kill(client.stage("curl.mirror-b"), signal.SIGKILL)
        status, said = end(run)
    # A volume is sent again; a stream cannot be.
    assert status == (0 if volume == "1M" else 3), said
    client.left_nothing()
    assert client.opened(0) == noise.read_bytes()
    assert len(client.receipts(1)) == (1 if volume == "1M" else 0)


@pytest.mark.parametrize("line", ["cacert", "pinnedpubkey"])
def test_another_certificate(new_client: NewClient, line: str) -> None:
    client = new_client()
    folder = client.settings.parent / "mirrors"
    lines = (folder / "mirror-b.curl").read_text().splitlines()
    others = (folder / "mirror-a.curl").read_text().splitlines()
    [other] = [each for each in others if each.startswith(line)]
    (folder / "mirror-b.curl").write_text(
        "\n".join(other if each.startswith(line) else each for each in lines) + "\n"
    )
    said = client.drop("conf", "echo", "one", expect=3)
    assert "mirror-b is lost for this run: its certificate is not the one that enrolment pinned" in said
    assert "not valid now: curl: (" in said
    assert client.names(1) == []


def test_wrong_passwords_everywhere(new_client: NewClient) -> None:
    client = new_client()
    for path in (client.settings.parent / "mirrors").glob("*.curl"):
        path.write_text(path.read_text().replace("router1:", "router1:x"))
    said = client.drop("conf", "echo", "one", expect=1)
    assert "mirror-b: it does not accept the password of router1" in said


def test_a_receipt_that_a_mirror_missed_is_sent_by_the_next_run(some_client: Client) -> None:
    # Greeted, the stream; then nothing any more.
    some_client.set(patience=1)
    with broken(some_client, 1, [None, None, 0]):
        said = some_client.drop("conf", "echo", "one", expect=3)
        assert "mirror-b lacks it" in said
    assert [len(some_client.receipts(mirror)) for mirror in (0, 1)] == [1, 0]
    assert "mirror-b still lacks" in some_client.run("status").stdout
    some_client.drop("conf", "echo", "two")
    assert some_client.receipts(0) == some_client.receipts(1)
    assert "still lacks" not in some_client.run("status").stdout


def test_interrupted_while_the_receipt_is_sent(new_client: NewClient) -> None:
    client = new_client()
    # Greeted, the stream; then the receipt stands still at both.
    limits = [None, None, 0]
    with broken(client, 0, limits, stall=True) as first, broken(client, 1, limits, stall=True) as second:
        run = client.begin("conf", "echo", "one")
        assert first.still.wait(PATIENCE) and second.still.wait(PATIENCE)
        status, said = end(run, signal.SIGTERM)
    assert (status, "the set has its receipt; the next run sends that" in said) == (143, True), said
    client.left_nothing()
    client.drop("conf", "echo", "two")
    assert len(client.receipts(0)) == len(client.receipts(1)) == 2


def test_a_receipt_that_nobody_took_is_not_forgotten(new_client: NewClient) -> None:
    client = new_client()
    client.set(patience=1)
    with broken(client, 0, [None, None, 0]), broken(client, 1, [None, None, 0]):
        said = client.drop("conf", "echo", "one", expect=1)
    assert "it is kept, and the next run sends it first" in said
    client.drop("conf", "echo", "two")
    first, second = client.receipts(1)
    assert first == client.receipts(0)[0]
    assert (first.previous, len(second.previous)) == ("", 64)


@pytest.mark.parametrize("left", [b"", b"{\n", b"\0" * 1000], ids=["nothing", "a part", "zeros"])
@pytest.mark.parametrize("damaged", ["*.json", "*.p7s"])
def test_an_owed_receipt_that_a_power_cut_damaged(
    new_client: NewClient, tmp_path: Path, damaged: str, left: bytes
) -> None:
    """Its name would be taken for good by what is left of it."""
    client = new_client("ash")
    client.set(patience=1, signing_key=make_signer(tmp_path, "signing")[0])
    with broken(client, 1, [None, None, 0]):
        client.drop("conf", "echo", "one", expect=3)
    [owed] = (client.state / "outbox" / "mirror-b").glob(damaged)
    owed.write_bytes(left)
    assert "is damaged, and not sent" in client.drop("conf", "echo", "two")
    assert "still lacks" not in client.run("status").stdout
    assert client.receipts(1) == client.receipts(0)[1:]
    assert sum(name.endswith(".p7s") for name in client.names(1)) == 1


@pytest.mark.parametrize("volume", ["1M", "stream"])
def test_an_answer_without_an_end(some_client: Client, noise: Path, volume: str) -> None:
    """It would fill the folder for temporary files, which may be in memory, and the run would not end."""
    some_client.set(volume=volume, patience=1)
    with babbling(some_client, 1) as said:
        assert "mirror-b lacks it" in some_client.drop("mtd", "cat", noise, expect=3)
    # What a socket holds comes on top of what curl took.
    assert max(said) < 20_000_000
    assert some_client.opened(0) == noise.read_bytes()


OK = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


@contextmanager
def babbling(client: Client, number: int) -> Iterator[list[int]]:
    """Says yes, and goes on talking. How many octets it has said on each connection."""
    said = list[int]()

    def talk(secure: ssl.SSLSocket) -> None:
        said.append(0)
        at = len(said) - 1
        if b"OPTIONS" in secure.recv(65536):
            secure.sendall(OK)
            return
        secure.sendall(b"HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\n")
        while said[at] < 200_000_000:
            secure.sendall(b"100000\r\n" + bytes(1 << 20) + b"\r\n")
            said[at] += 1 << 20

    with impostor(client, number, talk):
        yield said


@contextmanager
def impostor(client: Client, number: int, talk: Callable[[ssl.SSLSocket], None]) -> Iterator[None]:
    """Something in a mirror's place, and with its certificate, that talks so on each connection."""
    mirror = client.home.mirrors[number]
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(mirror.certificate, mirror.state / "tls.key")

    def meet(near: socket.socket) -> None:
        with suppress(OSError), context.wrap_socket(near, server_side=True) as secure:
            talk(secure)

    def serve() -> None:
        with suppress(OSError):
            while True:
                threading.Thread(target=meet, args=(listener.accept()[0],), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=serve, daemon=True).start()
        port = listener.getsockname()[1]
        with client.sent_to(mirror, port):
            try:
                yield
            finally:
                listener.shutdown(socket.SHUT_RDWR)


@pytest.mark.parametrize("volume", ["1M", "stream"])
@pytest.mark.parametrize(
    ("answer", "why"),
    [
        # To whatever it is asked: a page to log in, say.
        (OK, "it answered 200, as no mirror does"),
        (b"HTTP/1.1 301 Moved\r\nLocation: /x\r\nContent-Length: 0\r\n\r\n", "it answered 301"),
        (b"HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\n\r\nbig", "it answered 413 big"),
        (b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 13\r\n\r\n<html>\n</html>", "it answered 502\n"),
        (b"HTTP/1.1 507 Full\r\nContent-Length: 4\r\n\r\nfull", "it answered 507 full"),
        (b"HTTP/1.1 102 Processing\r\n\r\n", ""),
        (b"HTTP/1.1 201 Created\r\nContent-Length: 1000\r\n\r\nnot so many", ""),
        (b"HTTP/1.1 201 Created\r\nContent-Length: 99999999999\r\n\r\n", ""),
        (b"HTTP/1.1 abc\r\n\r\n", ""),
        (b"\0\xff$(touch d) `touch d`\n" * 100, ""),
        (b"", ""),
    ],
)
def test_an_answer_that_is_no_yes(
    new_client: NewClient, noise: Path, volume: str, answer: bytes, why: str
) -> None:
    """After the whole body was read, and the connection ends after it."""
    client = new_client("ash")
    client.set(volume=volume, patience=1)

    def talk(secure: ssl.SSLSocket) -> None:
        heard = secure.recv(65536)
        if heard.startswith(b"OPTIONS"):
            secure.sendall(OK)
            return
        with suppress(TimeoutError):
            secure.settimeout(0.5)
            while secure.recv(65536):
                pass
        secure.sendall(answer)
        secure.unwrap()

    with impostor(client, 1, talk):
        said = client.drop("mtd", "cat", noise, expect=3)
    assert f"mirror-b is lost for this run: {why}" in said
    assert client.opened(0) == noise.read_bytes()
    assert client.receipts(1) == []


@pytest.mark.slow
def test_a_mirror_that_crawls_has_broken_off(new_client: NewClient, noise: Path) -> None:
    """It would hold the other one up for days."""
    client = new_client()
    # What stands still for `patience` and five seconds more has broken off.
    client.set(patience=1)
    done = threading.Event()

    def talk(secure: ssl.SSLSocket) -> None:
        if secure.recv(1000).startswith(b"OPTIONS"):
            secure.sendall(OK)
            return
        while not done.wait(0.5):
            secure.recv(500)

    with impostor(client, 1, talk):
        said = client.drop("mtd", "sh", "-c", f"cat {noise} {noise} {noise} {noise}", expect=3)
        done.set()
    assert "mirror-b is lost for this run: " in said
    assert client.opened(0) == noise.read_bytes() * 4


@pytest.mark.slow
def test_handshakes_that_take_long(new_client: NewClient) -> None:
    """On a busy router: while no mirror answers, each try is given more time than the one before."""
    client = new_client()
    # For two tries of 20 seconds each, and what lies between them.
    client.set(patience=45)
    with broken(client, 0, [None], late=22), broken(client, 1, [0]):
        said = client.drop("conf", "echo", "one", expect=3)
    assert "mirror-b is lost for this run: " in said
    assert client.opened() == b"one\n"


@pytest.mark.slow
def test_what_a_mirror_costs_is_counted_when_another_one_took_the_file(new_client: NewClient) -> None:
    """Both were away for more than half a minute; the first to be back is not the last."""
    client = new_client()
    client.set(patience=300)
    # The first is back after 31 seconds. The second stands still twice, for 20 seconds and for 40.
    with (
        broken(client, 0, [0, 0, 0, 0, 0, None]),
        broken(client, 1, [0, 0, None], stall=True),
    ):
        client.drop("conf", "echo", "one")
    assert len(client.receipts(1)) == 1


def test_rate_limit(new_client: NewClient, noise: Path) -> None:
    client = new_client()
    client.set(rate="1M", volume="3M")
    begun = time.monotonic()
    client.drop("mtd", "cat", noise)
    assert time.monotonic() - begun > 1.0
