"""Nobody waits for another's slowness or greed: what these cost a host that drops meanwhile."""

import math
import resource
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from hashlib import sha256
from http import HTTPStatus
from itertools import pairwise
from pathlib import Path
from threading import BoundedSemaphore

import pytest

from nightdrop_server.answers import Refused
from nightdrop_server.body import Body
from nightdrop_server.conversation import MIN_RATE, RATE_WINDOW, Conversation
from nightdrop_server.heads import parse_head
from nightdrop_server.listener import THREADS, Listener
from nightdrop_server.log import access
from nightdrop_server.queueing import Queue
from nightdrop_server.shares import FairTurns, Share
from nightdrop_server.store import read_body
from nightdrop_server.turns import PLACES, Turns
from nightdrop_server.wire import IDLE, Wire

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


def test_who_has_least_is_given_the_place_of_who_has_most() -> None:
    """Places are given out until there are none; then hosts end up with equal parts, and the youngest
    requests are those that are ended.
    """
    turns, ended = Turns(at_once=6, places=8), list[str]()

    def comes(host: str, number: int) -> bool:
        try:
            held.enter_context(turns.one(host, lambda: ended.append(f"{host}{number}")))
        except Refused as refused:
            assert refused.status == HTTPStatus.SERVICE_UNAVAILABLE
            return False
        return True

    with ExitStack() as held:
        assert [comes("a", number) for number in range(8)] == [True] * 6 + [False] * 2
        assert [comes("b", number) for number in range(8)] == [True] * 4 + [False] * 4
        assert ended == ["a5", "a4"]
        assert [comes("c", number) for number in range(8)] == [True] * 2 + [False] * 6
        assert sorted(ended[2:]) == ["a3", "b3"]
        assert [comes(f"d{number}", 0) for number in range(6)] == [True] * 5 + [False]
    # All are counted out, and each only once.
    with ExitStack() as held:
        assert [comes(host, 0) for host in "abcdefgh"] == [True] * 8


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


def test_one_network_does_not_fill_the_queue() -> None:
    """Who has many places gets no more where it is crowded, who has none still gets one."""
    queue = Queue()

    def stands(address: str) -> bool:
        try:
            stack.enter_context(queue.turn(address))
        except Refused as refused:
            assert refused.status == HTTPStatus.SERVICE_UNAVAILABLE
            return False
        return True

    with ExitStack() as stack:
        # Nobody has to wait, so that all stay.
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        for name in ("_crowd", "_working"):
            patch.setattr(queue, name, BoundedSemaphore(999))
        assert sum(stands(f"2001:db8::{number}") for number in range(20)) == 20
        assert sum(stands("192.0.2.1") for _ in range(100)) == 44
        assert not stands("2001:db8::1")
        assert [stands(f"198.51.100.{number}") for number in range(64)] == [True] * 64
        assert not stands("203.0.113.1")
    assert queue._places.total() == 0


def test_who_has_none_there_does_not_wait_for_a_crowd() -> None:
    """While several of a network are there and one of them waits, one of another is let through."""
    queue = Queue(at_work=3)
    with ThreadPoolExecutor() as pool, queue.turn("192.0.2.1"):
        with queue.turn("192.0.2.1"):
            third = pool.submit(lambda: queue.turn("192.0.2.1").__enter__())
            wait_until(lambda: queue._places["192.0.2.1"] == 3, "it queues")
            with queue.turn("198.51.100.1"):
                assert not third.done()
        third.result(60)


def test_turns_go_by_host_not_by_upload() -> None:
    """Ten waiting uploads of one host and one of another, with one processor: the hosts take turns."""
    turns = FairTurns(at_once=1)
    order: list[str] = []

    def work(host: str, blocks: int) -> None:
        for _ in range(blocks):
            with turns.one(host, 100):
                order.append(host)
                if host == "greedy":
                    # The other one asks for its next turn in time, until it has had all of them.
                    wait_until(lambda: waiting("quick") > 0 or order.count("quick") == 10, "it asks")

    def waiting(host: str) -> int:
        return len(turns._waiting.get(host, ()))

    with ThreadPoolExecutor(11) as pool, turns.one("other", 1):
        for _ in range(10):
            pool.submit(work, "greedy", 10)
        pool.submit(work, "quick", 10)
        wait_until(lambda: (waiting("greedy"), waiting("quick")) == (10, 1), "all of them wait")
    last = max(at for at, host in enumerate(order) if host == "quick")
    assert sorted(set(order)) == ["greedy", "quick"]
    assert len(order) == 110
    assert last < 25


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
        share = Share(lambda _octets: nullcontext(enter_result=True), lambda: rested.append(body.read))
        written = read_body(body, 3000 * size, share)
    assert written is not None
    assert (written.size, written.sha256) == (3000 * size, sha256(b"x" * 3000 * size).hexdigest())
    assert len(rested) == rests
    # A chunk that comes in two pieces may be cut by a rest, and counts once: a rest is early or late by
    # less than a chunk, and what lies between two of them by less than two.
    apart = [after - before for before, after in pairwise(rested)] or [0]
    assert max(apart) - min(apart) < 2 * size, "they are evenly spread"


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
