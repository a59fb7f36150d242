"""A file is there whole or not at all: whatever is cut, broken, killed, full or raced for."""

import hashlib
import http.client
import random
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest

from mirrors import PATIENCE, TIMES, Mirror, Served, new_name, repr_digest, wait_until

BODY = bytes(range(256)) * 4096


def start_put(served: Served, name: str, *fields: str) -> socket.socket:
    """Send the head of a PUT, and no body yet."""
    sock = served.mirror.connect()
    lines = [f"PUT /web1/{name} HTTP/1.1", "Host: x", *fields]
    lines += [f"{key}: {value}" for key, value in served.fields().items()]
    sock.sendall("\r\n".join([*lines, "", ""]).encode())
    return sock


def read_all(sock: socket.socket) -> bytes:
    received = b""
    try:
        while block := sock.recv(65536):
            received += block
    except (ConnectionError, ssl.SSLError):
        pass
    return received


def end_sending(sock: socket.socket) -> None:
    """Close our half of the connection below any TLS, as a lost client does."""
    socket.socket.shutdown(sock, socket.SHUT_WR)


CUT = {
    "by length": ["Content-Length: 1000000"],
    "in chunks": ["Transfer-Encoding: chunked"],
}


@pytest.mark.parametrize("how", CUT)
@pytest.mark.parametrize("sent", [0, 1, 1000, 999_999])
def test_cut_body_leaves_nothing(served: Served, how: str, sent: int) -> None:
    name = new_name()
    with start_put(served, name, *CUT[how]) as sock:
        if how == "in chunks":
            sock.sendall(b"f4240\r\n")
        sock.sendall(BODY[:sent])
        end_sending(sock)
        # A TLS connection that ends without saying so may carry none: versions of Python differ.
        answers = (b"HTTP/1.1 400 ", b"") if served.mirror.tls else (b"HTTP/1.1 400 ",)
        assert read_all(sock)[:13] in answers
    wait_until(lambda: served.mirror.log.read_text().count(name) == 1, "the cut PUT is in the log")
    assert name not in served.mirror.stored("web1")
    assert served.put(name, BODY).status == 201


def test_reset_connection_leaves_nothing(served: Served) -> None:
    name = new_name()
    with start_put(served, name, "Content-Length: 1000000") as sock:
        sock.sendall(BODY[:500_000])
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    wait_until(lambda: name in served.mirror.log.read_text(), "the reset PUT is in the log")
    assert name not in served.mirror.stored("web1")
    assert served.put(name, BODY).status == 201


BROKEN = {
    "sign": b"-5\r\nhello\r\n0\r\n\r\n",
    "plus": b"+5\r\nhello\r\n0\r\n\r\n",
    "hex prefix": b"0x5\r\nhello\r\n0\r\n\r\n",
    "underscore": b"1_0\r\n0123456789abcdef\r\n0\r\n\r\n",
    "space before": b" 5\r\nhello\r\n0\r\n\r\n",
    "space after": b"5 \r\nhello\r\n0\r\n\r\n",
    "empty size": b"\r\nhello\r\n0\r\n\r\n",
    "word": b"five\r\nhello\r\n0\r\n\r\n",
    "too long a size": b"0000000000005\r\nhello\r\n0\r\n\r\n",
    "bare line feed after size": b"5\nhello\r\n0\r\n\r\n",
    "bare line feed after octets": b"5\r\nhello\n0\r\n\r\n",
    "more octets than said": b"4\r\nhello\r\n0\r\n\r\n",
    "bare line feed at the end": b"5\r\nhello\r\n0\r\n\n",
    "endless size line": b"5;" + b"x" * 10_000 + b"\r\nhello\r\n0\r\n\r\n",
    "line feed in a quoted extension": b'5;a="\n"\r\nhello\r\n0\r\n\r\n',
    "carriage return in an extension": b"5;a\rb\r\nhello\r\n0\r\n\r\n",
    "NUL in an extension": b"5;\0\r\nhello\r\n0\r\n\r\n",
    "empty line before": b"\r\n5\r\nhello\r\n0\r\n\r\n",
    "bare line feed in a trailer": b"5\r\nhello\r\n0\r\nA: b\n\r\n",
    "endless trailers": b"5\r\nhello\r\n0\r\n" + b"A: b\r\n" * 10_000 + b"\r\n",
    "no last chunk": b"5\r\nhello\r\n",
    "no end after the last chunk": b"5\r\nhello\r\n0\r\n",
}


@pytest.mark.parametrize("chunks", BROKEN.values(), ids=BROKEN)
def test_broken_chunks_leave_nothing(http: Served, chunks: bytes) -> None:
    name = new_name()
    with start_put(http, name, "Transfer-Encoding: chunked") as sock:
        sock.sendall(chunks)
        end_sending(sock)
        assert b" 400 " in read_all(sock).split(b"\r\n")[0]
    assert name not in http.mirror.stored("web1")


def test_whole_chunks_are_kept(served: Served) -> None:
    name = new_name()
    with start_put(served, name, "Transfer-Encoding: chunked", "Connection: close") as sock:
        sock.sendall(b"5;why=not\r\nhello\r\n00\r\nTrailer: ignored\r\n\r\n")
        assert b" 201 " in read_all(sock).split(b"\r\n")[0]
    assert served.mirror.stored("web1")[name] == b"hello"


def test_nothing_is_visible_before_the_last_byte(served: Served) -> None:
    name = new_name()
    with start_put(served, name, f"Content-Length: {len(BODY)}", "Connection: close") as sock:
        sock.sendall(BODY[:-1])
        wait_until(lambda: served.mirror.uploads() == 1, "it is being written")
        assert name not in served.mirror.stored("web1")
        sock.sendall(BODY[-1:])
        assert b" 201 " in read_all(sock).split(b"\r\n")[0]
    assert served.mirror.stored("web1")[name] == BODY


def test_killed_server_leaves_files_whole_or_absent(recipient: Path, tmp_path: Path) -> None:
    """`kill -9` at random moments while four uploads run, and a fifth has stopped in the middle: what is
    there is whole, what was answered 201 is there, and the next mirror on the same folders works.
    """
    chance = random.Random(20260102)
    mirror = Mirror(tmp_path, "killed", [recipient], tls=False)
    bundle = tmp_path / "web1.toml"
    mirror.enroll("web1", bundle)
    fields = mirror.credentials(bundle)
    whole = cut = 0
    for _ in range(15 * TIMES):
        bodies = {new_name(): chance.randbytes(chance.randrange(1, 3_000_000)) for _ in range(12)}
        answered: set[str] = set()
        mirror.start()
        threads = [
            threading.Thread(target=_put_until_dead, args=(mirror, fields, bodies, answered, first))
            for first in range(4)
        ]
        for thread in threads:
            thread.start()
        with mirror.upload_under_way(bundle):
            # By what was answered, not by the clock alone: a busy machine must not move the kills away.
            wait_until(partial(_answers, answered, chance.randrange(8)), "answers before the kill")
            time.sleep(chance.uniform(0, 0.03))
            mirror.kill()
        for thread in threads:
            thread.join()
        stored = {name: octets for name, octets in mirror.stored("web1").items() if name in bodies}
        assert {name: bodies[name] for name in stored} == stored
        assert answered <= set(stored)
        whole, cut = whole + len(stored), cut + 1 + len(bodies) - len(stored)
        for path in (mirror.vault / "web1").iterdir():
            assert path.name in bodies
            path.unlink()
    assert whole > 10 and cut > 10, "the kills came too early or too late: this test saw nothing"
    with mirror.start():
        for name, body in bodies.items():
            assert mirror.ask("PUT", f"/web1/{name}", body, fields).status == 201


def _answers(answered: set[str], number: int) -> bool:
    return len(answered) >= number


def _put_until_dead(
    mirror: Mirror, fields: dict[str, str], bodies: dict[str, bytes], answered: set[str], first: int
) -> None:
    for name in list(bodies)[first::4]:
        try:
            if mirror.ask("PUT", f"/web1/{name}", bodies[name], fields).status == 201:
                answered.add(name)
        except (OSError, http.client.HTTPException):
            return


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """An ext4 file system of 16 MB of its own; needs root, and fails loudly without."""
    image, folder = tmp_path / "disk", tmp_path / "mounted"
    folder.mkdir()
    image.write_bytes(b"")
    subprocess.run(["truncate", "-s", "16M", image], check=True)
    subprocess.run(["mkfs.ext4", "-q", "-m", "0", image], check=True)
    subprocess.run(["mount", "-o", "loop", image, folder], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


def test_full_disk(recipient: Path, tmp_path: Path, small_disk: Path) -> None:
    """507 whether the length was said or the disk fills up on the way; and the next request works."""
    with Mirror(tmp_path, "small", [recipient], tls=False, vault=small_disk / "vault").start() as mirror:
        bundle = tmp_path / "web1.toml"
        mirror.enroll("web1", bundle)
        fields = mirror.credentials(bundle)
        # The state is on another disk, so what fills up is the vault alone.
        filler = small_disk / "filler"
        filler.write_bytes(b"x" * 9_000_000)
        subprocess.run(["sync", "-f", filler], check=True)
        too_long = b"y" * 8_000_000
        assert mirror.ask("PUT", f"/web1/{new_name()}", too_long, fields).status == 507
        chunked = _put_chunked_then_fill(mirror, fields, small_disk)
        assert chunked == 507
        assert mirror.stored("web1") == {}
        (small_disk / "more").unlink()
        assert mirror.ask("PUT", f"/web1/{new_name()}", b"fits", fields).status == 201
        log = mirror.log.read_text()
    assert " 507 " in log
    assert "Traceback" not in log


def _put_chunked_then_fill(mirror: Mirror, fields: dict[str, str], disk: Path) -> int:
    """PUT by length with room enough, which somebody else then takes: the write itself fails."""
    body = b"z" * 3_000_000
    connection = mirror.connection()
    connection.putrequest("PUT", f"/web1/{new_name()}")
    for name, value in (fields | {"Content-Length": str(len(body))}).items():
        connection.putheader(name, value)
    connection.endheaders()
    connection.send(body[:100_000])
    wait_until(lambda: mirror.uploads() == 1, "there was room for it")
    with pytest.raises(OSError, match="No space"), (disk / "more").open("wb", buffering=0) as file:
        while True:
            file.write(b"x" * 65536)
    connection.send(body[100_000:])
    status = connection.getresponse().status
    connection.close()
    return status


@pytest.mark.parametrize("equal", [False, True], ids=["different bytes", "equal bytes"])
def test_race_for_a_name(http: Served, equal: bool) -> None:
    """Of two PUTs at once exactly one makes the file; the other is told 409, or 204 for equal bytes."""
    for race in range(25 * TIMES):
        name = new_name()
        bodies = [b"a" * 200_000, (b"a" if equal else b"b") * 200_000]
        barrier = threading.Barrier(2, timeout=PATIENCE)

        def put(body: bytes, name: str = name, barrier: threading.Barrier = barrier) -> int:
            with start_put(http, name, f"Content-Length: {len(body)}", "Connection: close") as sock:
                sock.sendall(body[:-1])
                barrier.wait()
                sock.sendall(body[-1:])
                return int(read_all(sock).split()[1])

        with ThreadPoolExecutor(2) as pool:
            statuses = list(pool.map(put, bodies))
        assert sorted(statuses) == ([201, 204] if equal else [201, 409]), f"race {race}"
        stored = (http.mirror.vault / "web1" / name).read_bytes()
        assert stored == bodies[statuses.index(201)]


def test_same_bytes_declared_are_not_sent_again(served: Served) -> None:
    """With Expect and the digest, 204 comes before the body; with another digest or length, 409."""
    name = new_name()
    served.put(name, BODY)
    expect = ["Expect: 100-continue", f"Content-Length: {len(BODY)}"]
    for digest, status in ((repr_digest(BODY), b" 204 "), (repr_digest(b"other"), b" 409 ")):
        with start_put(served, name, *expect, f"Repr-Digest: {digest}") as sock:
            assert status in read_all(sock).split(b"\r\n")[0]
    with start_put(served, name, f"Content-Length: {len(BODY) + 1}") as sock:
        assert b" 409 " in sock.recv(4096)


def test_declared_digest_is_held_against_the_bytes(served: Served) -> None:
    """Whoever declares another than that of what arrives is told so: under a new name, of which nothing
    is kept, and under that of what was declared.
    """
    name = new_name()
    assert served.put(name, BODY[::-1], Repr_Digest=repr_digest(BODY)).status == 400
    assert name not in served.mirror.stored("web1")
    assert served.put(name, BODY, Repr_Digest=repr_digest(BODY)).status == 201
    assert served.put(name, BODY[::-1], Repr_Digest=repr_digest(BODY)).status == 400
    assert served.mirror.stored("web1")[name] == BODY


def test_large_bodies_arrive_as_sent(served: Served) -> None:
    """Bodies around the buffer's size, and over it, by length and in chunks of odd sizes."""
    chance = random.Random(7)
    for size in (0, 1, 65_536, 65_537, 2**20 - 1, 2**20, 2**20 + 1, 5_000_001):
        body = chance.randbytes(size)
        name = new_name()
        assert served.put(name, body).status == 201
        chunked = new_name()
        connection = served.mirror.connection()
        pieces = [body[at : at + 77_777] for at in range(0, size, 77_777)]
        connection.request(
            "PUT", f"/web1/{chunked}", iter(pieces), headers=served.fields(), encode_chunked=True
        )
        assert connection.getresponse().status == 201
        connection.close()
        stored = served.mirror.stored("web1")
        assert hashlib.sha256(stored[name]).digest() == hashlib.sha256(body).digest()
        assert hashlib.sha256(stored[chunked]).digest() == hashlib.sha256(body).digest()


def test_several_requests_on_one_connection(served: Served) -> None:
    connection = served.mirror.connection()
    for body in (b"one", BODY, b"", b"four"):
        connection.request("PUT", f"/web1/{new_name()}", body, served.fields())
        response = connection.getresponse()
        response.read()
        assert response.status == 201
        assert response.getheader("Connection") is None
    connection.close()


def test_pipelined_requests_are_answered_in_turn(served: Served) -> None:
    names = [new_name() for _ in range(3)]
    fields = "".join(f"{name}: {value}\r\n" for name, value in served.fields().items())
    requests = [
        f"PUT /web1/{name} HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n{fields}"
        + ("Connection: close\r\n" if name == names[-1] else "")
        + "\r\nbody"
        for name in names
    ]
    with served.mirror.connect() as sock:
        sock.sendall("".join(requests).encode())
        assert read_all(sock).count(b"HTTP/1.1 201 ") == 3
