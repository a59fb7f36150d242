"""PROPFIND of a large folder is answered from memory while nothing changes, and only then."""

import socket
import time
from contextlib import ExitStack
from pathlib import Path

from nightdrop.vault import FolderVault
from nightdrop_server.answers import Answer, HTTPStatus
from nightdrop_server.listings import RESTED, Listings

from mirrors import AT_ONCE, PATIENCE, Mirror, Served, new_name

REST = RESTED / 1e9 + 0.1


def listed(served: Served, body: bytes | None = None) -> bytes:
    answer = served.mirror.ask("PROPFIND", "/web1/", body, served.fields() | {"Depth": "1"})
    assert answer.status == 207
    return answer.body


def test_a_listing_is_never_stale(http: Served) -> None:
    """Each drop shows in the next listing of every kind, whether the one before was kept or not."""
    names_only = b'<propfind xmlns="DAV:"><prop><resourcetype/></prop></propfind>'
    for rest in (0, 0, 0, REST, REST):
        time.sleep(rest)
        listed(http), listed(http, names_only)
        name = new_name()
        assert http.put(name, b"x").status == 201
        for body in (None, names_only):
            assert name.encode() in listed(http, body)
    (http.mirror.vault / "web1" / name).unlink()
    assert name.encode() not in listed(http)
    assert b"getcontentlength" not in listed(http, names_only)


def test_a_large_unchanged_folder_is_listed_quickly(recipient: Path, tmp_path: Path) -> None:
    with Mirror(tmp_path, "large", [recipient], tls=False).start() as mirror:
        mirror.enroll("web1", tmp_path / "web1.toml")
        fields = mirror.credentials(tmp_path / "web1.toml") | {"Depth": "1"}
        for _ in range(2000):
            (mirror.vault / "web1" / new_name()).touch()
        time.sleep(REST)
        spent, bodies = [], set()
        for _ in range(4):
            before = processor_time(mirror)
            bodies.add(mirror.ask("PROPFIND", "/web1/", None, fields).body)
            spent.append(processor_time(mirror) - before)
    [body] = bodies
    assert body.count(b"difftar") > 2000
    assert min(spent[1:]) < spent[0] / 4


def processor_time(mirror: Mirror) -> float:
    """What the mirror has spent of it so far, in seconds: a busy machine adds little to that."""
    assert mirror.process is not None
    # The number of its clock is made as clock_getcpuclockid(3) makes it.
    return time.clock_gettime(~mirror.process.pid << 3 | 2)


def test_what_is_kept_is_bounded(tmp_path: Path) -> None:
    """Many hosts and many questions push out the oldest."""
    listings = Listings(FolderVault(tmp_path))
    for number in range(40):
        (tmp_path / f"host{number}").mkdir()
    time.sleep(REST)
    megabyte = Answer(HTTPStatus.MULTI_STATUS, body=bytes(1024 * 1024))
    worked_out = []

    def work_out() -> Answer:
        worked_out.append(1)
        return megabyte

    for number in range(40):
        with ExitStack() as turn:
            listings.answer(f"host{number}", ("", "1", b""), work_out, turn)
    for number in reversed(range(40)):
        with ExitStack() as turn:
            listings.answer(f"host{number}", ("", "1", b""), work_out, turn)
    assert len(worked_out) == 40 + 24


def test_no_question_makes_a_listing_swell(http: Served) -> None:
    """What is asked is answered for each file, unknown properties, too, so short names become much."""
    folder = http.mirror.vault / "web1"
    for _ in range(200):
        (folder / new_name()).touch()
    names = b"".join(b"<x%d/>" % number for number in range(3000))
    body = b'<propfind xmlns="DAV:"><prop>' + names + b"</prop></propfind>"
    answer = http.mirror.ask("PROPFIND", "/web1/", body, http.fields() | {"Depth": "1"})
    assert answer.status == 403
    assert b"too much is asked at once" in answer.body
    assert http.mirror.ask("PROPFIND", "/web1/", body, http.fields() | {"Depth": "0"}).status == 207
    for path in folder.iterdir():
        path.unlink()


def test_large_listings_that_nobody_reads_fill_no_memory(recipient: Path, tmp_path: Path) -> None:
    """As many at once as a host may ask for, of megabytes each: one of them is on its way at a time, and
    another host's drop is taken meanwhile.
    """
    with Mirror(tmp_path, "large", [recipient], tls=False).start() as mirror, ExitStack() as stack:
        for host in ("web1", "web2"):
            mirror.enroll(host, tmp_path / f"{host}.toml")
        fields = mirror.credentials(tmp_path / "web1.toml") | {"Depth": "1", "Host": "x"}
        for _ in range(16_000):
            (mirror.vault / "web1" / new_name()).touch()
        time.sleep(REST)
        assert len(mirror.ask("PROPFIND", "/web1/", None, fields).body) > 7_000_000
        before = mirror.memory()
        asking = [stack.enter_context(socket.socket()) for _ in range(AT_ONCE)]
        for sock in asking:
            # More of it than fits in here, and in the kernel's buffer at the other end, is not taken.
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            sock.settimeout(PATIENCE)
            sock.connect((mirror.address, mirror.port))
            head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
            sock.sendall(f"PROPFIND /web1/ HTTP/1.1\r\n{head}\r\n".encode())
        dropped = mirror.ask(
            "PUT", f"/web2/{new_name()}", b"x", mirror.credentials(tmp_path / "web2.toml")
        )
        assert dropped.status == 201
        statuses = [int(sock.recv(12)[9:]) for sock in asking]
        assert mirror.memory() - before < 64 * 1024 * 1024
        assert set(statuses) == {207, 503}
