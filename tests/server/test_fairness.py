"""Nobody waits for another's slowness or greed: what these cost a host that drops meanwhile."""

import math
import resource
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest

from nightdrop_server.listener import OWN, THREADS, Listener
from nightdrop_server.turns import PLACES
from nightdrop_server.wire import IDLE

from mirrors import AT_ONCE, Mirror, basic, environment_without_proxies, new_name, wait_until

MB = 1_000_000
PIECE = 100


@pytest.fixture(params=["https", "http"])
def pair(request: pytest.FixtureRequest, recipient: Path, tmp_path: Path) -> Iterator[list[Mirror]]:
    """A mirror to be crowded, and one that stays calm to compare with."""
    tls = request.param == "https"
    with (
        Mirror(tmp_path, "crowded", [recipient], tls).start() as crowded,
        Mirror(tmp_path, "calm", [recipient], tls).start() as calm,
    ):
        for mirror, hosts in ((crowded, ("quick", "one", "two")), (calm, ("quick",))):
            for host in hosts:
                mirror.enroll(host, mirror.root / f"{host}.toml")
                mirror.knows(mirror.root / f"{host}.toml")
        yield [crowded, calm]


def upload(mirror: Mirror, host: str, file: Path, *, chunked: bool = False) -> subprocess.Popen[bytes]:
    """Start a curl that drops a file."""
    trust = ["--cacert", str(mirror.certificate)] if mirror.tls else []
    options = ["-sS", "--fail", "-u", f"{host}:{mirror.password(mirror.root / f'{host}.toml')}", *trust]
    with file.open("rb") as octets:
        return subprocess.Popen(
            ["curl", *options, "-T", "-" if chunked else file, f"{mirror.url}/{host}/{new_name()}"],
            env=environment_without_proxies(),
            stdin=octets,
            stderr=subprocess.DEVNULL,
        )


ATTEMPTS = 8
"""How often times are taken until they are as they should be. What else the machine does can only make
an upload longer, so the least of many is what it takes; and no number of them makes a slow one quick.
"""


def seconds(mirrors: list[Mirror], file: Path) -> list[float]:
    """How long one upload of the quick host takes to each, in turn, the best of three."""
    taken: list[list[float]] = [[] for _ in mirrors]
    for _ in range(3):
        for mirror, times in zip(mirrors, taken, strict=True):
            begun = time.monotonic()
            assert upload(mirror, "quick", file).wait() == 0
            times.append(time.monotonic() - begun)
    return [min(times) for times in taken]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """50 MB."""
    path = tmp_path / "file"
    path.write_bytes(b"volume.." * (50 * MB // 8))
    return path


def slow_body(mirror: Mirror, host: str) -> socket.socket:
    """A connection on which a body has begun."""
    [credentials] = mirror.credentials(mirror.root / f"{host}.toml").values()
    sock = mirror.connect()
    head = f"Host: x\r\nAuthorization: {credentials}\r\nContent-Length: {50 * MB}"
    sock.sendall(f"PUT /{host}/{new_name()} HTTP/1.1\r\n{head}\r\n\r\n".encode())
    return sock


def dribble(heads: list[socket.socket], bodies: list[socket.socket], stop: threading.Event) -> None:
    """A byte a second for each head, 1 KB for each body."""
    while not stop.wait(1):
        for sock, octets in [(sock, b"x") for sock in heads] + [(sock, b"x" * 1000) for sock in bodies]:
            with suppress(OSError):
                sock.sendall(octets)


@pytest.mark.slow
def test_slow_and_silent_clients_cost_nobody(pair: list[Mirror], file: Path) -> None:
    """200 connections that say nothing, 50 that send a byte of their head a second, half of them before
    any TLS, 50 that send 1 KB of a body a second: another host's upload takes at most twice as long.
    """
    beset = alone = math.inf
    for _ in range(ATTEMPTS):
        with crowd(pair[0]):
            beset, alone = map(min, (beset, alone), seconds(pair, file))
        if beset < 2 * alone + 0.2:
            break
    print(f"alone {alone:.2f} s, beset {beset:.2f} s: {beset / alone:.2f}")
    assert beset < 2 * alone + 0.2


@contextmanager
def crowd(crowded: Mirror) -> Iterator[None]:
    """All these clients, for as long as the block takes."""
    address = (crowded.address, crowded.port)
    for host in ("one", "two"):
        crowded.knows(crowded.root / f"{host}.toml")
    with ExitStack() as stack:
        for _ in range(200):
            stack.enter_context(socket.create_connection(address))
        heads = [stack.enter_context(socket.create_connection(address)) for _ in range(25)]
        heads += [stack.enter_context(crowded.connect()) for _ in range(25)]
        for sock in heads:
            # The first bytes of a TLS record, or of a request.
            sock.sendall(b"\x16\x03\x01" if crowded.tls and sock in heads[:25] else b"PUT /")
        bodies = [
            stack.enter_context(slow_body(crowded, host)) for host in ("one", "two") for _ in range(25)
        ]
        stop = threading.Event()
        thread = threading.Thread(target=dribble, args=(heads, bodies, stop))
        thread.start()
        try:
            wait_until(lambda: crowded.uploads() == len(bodies), "the bodies are being written")
            yield
        finally:
            stop.set()
            thread.join()
        for sock in bodies:
            # They are all still being served.
            sock.setblocking(False)
            with pytest.raises((BlockingIOError, OSError)):
                assert sock.recv(1) == b"still open"
    # They count among what their hosts may have at once until they are gone.
    wait_until(lambda: crowded.uploads() == 0, "they are counted out")


@pytest.mark.slow
@pytest.mark.parametrize("pair", ["http"], indirect=True)
def test_a_greedy_host_gets_its_share_and_no_more(pair: list[Mirror], file: Path, tmp_path: Path) -> None:
    """Fifty uploads of one host, as many of them at once as it may have, take from another not much more
    than a single one does; by upload instead of by host it would be twenty times as much.
    """
    large = tmp_path / "large"
    with large.open("wb") as hole:
        hole.truncate(4000 * MB)
    mirror = pair[0]
    mirror.knows(mirror.root / "one.toml")
    taken = {1: math.inf, AT_ONCE: math.inf}
    for number in list(taken) * ATTEMPTS:
        # In chunks, so that room is asked for only as it is needed.
        greedy = [upload(mirror, "one", large, chunked=True) for _ in range(50 if number > 1 else 1)]
        try:
            wait_until(lambda: mirror.uploads() > number / 2, "they are under way")  # noqa: B023
            found = seconds([mirror], file)
            # A time counts only if they were under way all of it, as on a busy machine they may not be.
            if sum(process.poll() is None for process in greedy) > number / 2:
                taken[number] = min(taken[number], *found)
        finally:
            for process in greedy:
                process.kill()
                process.wait()
            wait_until(lambda: mirror.uploads() == 0, "they are counted out")
        if max(taken.values()) < math.inf and taken[AT_ONCE] < 4 * taken[1] + 0.2:
            break
    assert max(taken.values()) < math.inf
    print(f"beset by one upload {taken[1]:.2f} s, by {AT_ONCE} {taken[AT_ONCE]:.2f} s")
    assert taken[AT_ONCE] < 4 * taken[1] + 0.2


@pytest.mark.parametrize("pair", ["http"], indirect=True)
def test_hosts_that_hold_every_place_leave_each_other_one(pair: list[Mirror], tmp_path: Path) -> None:
    """More hosts than there are threads for, each with as many crawling bodies as it may have, begun anew
    whenever one is ended: one that comes later drops three files at once, and a fourth after them.
    """
    mirror = pair[0]
    file = tmp_path / "file"
    file.write_bytes(b"x" * 3 * MB)
    hosts = [f"rooted{number}" for number in range(THREADS // AT_ONCE + 1)]
    for host in hosts:
        mirror.enroll(host, mirror.root / f"{host}.toml")
        mirror.knows(mirror.root / f"{host}.toml")
    slots: list[tuple[str, socket.socket]] = []
    stop = threading.Event()

    def crawl() -> None:
        while not stop.wait(0.2):
            for at, (host, sock) in enumerate(slots):
                try:
                    sock.sendall(b"x" * 200)
                except OSError:
                    sock.close()
                    slots[at] = host, slow_body(mirror, host)

    crawler = threading.Thread(target=crawl)
    try:
        slots += [(host, slow_body(mirror, host)) for host in hosts for _ in range(AT_ONCE)]
        crawler.start()
        wait_until(lambda: mirror.uploads() >= PLACES, "all places are taken")
        three = [upload(mirror, "quick", file) for _ in range(3)]
        assert [process.wait(60) for process in three] == [0, 0, 0]
        assert upload(mirror, "quick", file).wait(60) == 0
        assert "quick needs the place of one" in mirror.log.read_text()
    finally:
        stop.set()
        crawler.join()
        for _, sock in slots:
            sock.close()


def test_an_answer_that_a_stranger_does_not_read_holds_no_thread(pair: list[Mirror]) -> None:
    """Requests without a password, one after the other, and no answer read: it is hung up on as soon as
    no more answers fit into the kernel's buffers.
    """
    hung_up = (ConnectionError, ssl.SSLEOFError)
    mirror = pair[0]
    with socket.socket() as plain:
        # Few answers fit into it.
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        # Less than the door's own patience for who has a right to it.
        plain.settimeout(IDLE - 5)
        plain.connect((mirror.address, mirror.port))
        with (
            (
                mirror.tls_context().wrap_socket(plain, server_hostname=mirror.address)
                if mirror.tls
                else plain
            ) as sock,
            pytest.raises(hung_up),
        ):
            while True:
                sock.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" * 10)


@pytest.mark.parametrize("pair", ["http"], indirect=True)
def test_a_host_with_all_idle_connections_costs_no_other_its_own(pair: list[Mirror]) -> None:
    """As many as are kept at all, of one host: who comes then has time to say something, even if others
    come after it.
    """
    mirror = pair[0]
    [credentials] = mirror.credentials(mirror.root / "one.toml").values()
    address = (mirror.address, mirror.port)
    with ExitStack() as stack:
        resource.setrlimit(resource.RLIMIT_NOFILE, (4096, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
        for _ in range(Listener.keep_alive_conn_limit + 10):
            sock = stack.enter_context(socket.create_connection(address))
            sock.sendall(
                f"OPTIONS /one/ HTTP/1.1\r\nHost: x\r\nAuthorization: {credentials}\r\n\r\n".encode()
            )
            assert sock.recv(4096).startswith(b"HTTP/1.1 200 ")
        slow = stack.enter_context(mirror.connect())
        for _ in range(50):
            stack.enter_context(socket.create_connection(address, source_address=("127.0.0.2", 0)))
        assert mirror.ask("GET", "/").status == 405
        [credentials] = mirror.credentials(mirror.root / "quick.toml").values()
        slow.sendall(
            f"OPTIONS /quick/ HTTP/1.1\r\nHost: x\r\nAuthorization: {credentials}\r\n\r\n".encode()
        )
        assert slow.recv(4096).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize("pair", ["http"], indirect=True)
def test_strangers_with_one_connection_each_cost_no_host_its_own(pair: list[Mirror]) -> None:
    """More of them than are kept at all, from as many addresses: a host has most then, but few."""
    mirror = pair[0]
    [credentials] = mirror.credentials(mirror.root / "one.toml").values()
    request = f"OPTIONS /one/ HTTP/1.1\r\nHost: x\r\nAuthorization: {credentials}\r\n\r\n".encode()
    with ExitStack() as stack:
        resource.setrlimit(resource.RLIMIT_NOFILE, (4096, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
        own = [stack.enter_context(mirror.connect()) for _ in range(OWN)]
        for sock in own:
            sock.sendall(request)
            assert sock.recv(4096).startswith(b"HTTP/1.1 200 ")
        for number in range(Listener.keep_alive_conn_limit + 50):
            source = (f"127.1.{number // 250}.{number % 250 + 1}", 0)
            stack.enter_context(
                socket.create_connection((mirror.address, mirror.port), source_address=source)
            )
        assert mirror.ask("GET", "/").status == 405
        for sock in own:
            sock.sendall(request)
            assert sock.recv(4096).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize("pair", ["http"], indirect=True)
def test_guessers_hold_no_more_than_a_few_threads(pair: list[Mirror], file: Path) -> None:
    """More wrong passwords at once than the door has threads: they keep out neither a host that it knows
    nor one that it does not know yet.
    """
    crowded = pair[0]
    crowded.enroll("new", crowded.root / "new.toml")
    with ExitStack() as stack:
        guessers = [
            stack.enter_context(
                socket.create_connection((crowded.address, crowded.port), source_address=("127.0.0.2", 0))
            )
            for _ in range(THREADS + 50)
        ]
        for number, sock in enumerate(guessers):
            [credentials] = basic("quick", str(number)).values()
            sock.sendall(
                f"OPTIONS / HTTP/1.1\r\nHost: x\r\nAuthorization: {credentials}\r\n\r\n".encode()
            )
        crowded.knows(crowded.root / "quick.toml")
        assert upload(crowded, "new", file).wait() == 0
        statuses = {sock.recv(4096)[9:12] for sock in guessers}
    assert statuses <= {b"401", b"503"}
