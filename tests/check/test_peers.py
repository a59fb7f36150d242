"""Two mirrors that look after each other: what only one of them has, and when the other is silent."""

import http.server
import json
import shutil
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from check.vaults import DAY, HOUR, Shelves
from nightdrop_check import peers
from nightdrop_check.inventory import FORMAT, LONGEST

from house import HOST, House, Key, run
from nginx import folder_for_nginx, nginx
from ports import free_port


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory, admin_key: Key) -> Iterator[tuple[House, Shelves]]:
    """Two mirrors that serve, with the same two sets; the first one looks after the second."""
    house = House(tmp_path_factory.mktemp("pair"), admin_key)
    here, there = house.mirrors
    port = free_port()
    with there.config.open("a") as file:
        file.write(f'[administration]\nlisten = "127.0.0.1:{port}"\n')
    password = house.root / "peer.password"
    run("admin-password", "--peer", "--config", there.config, "-o", password)
    house.start()
    try:
        for number in range(2):
            (house.source / str(number)).write_text("x")
            house.backup()
        with here.config.open("a") as file:
            file.write(
                f'[[check.peer]]\nname = "mirror-b"\nurl = "http://127.0.0.1:{port}"\n'
                f'password_file = "{password}"\ngrace = "0s"\n'
            )
        yield house, Shelves(here.config, HOST, time.time())
    finally:
        house.close()


@pytest.fixture
def two(pair: tuple[House, Shelves]) -> Iterator[tuple[Shelves, Shelves]]:
    """Both mirrors' shelves, put back afterwards."""
    here, there = pair[1], Shelves(pair[0].mirrors[1].config, HOST, time.time())
    kept = there.mirror.state / "kept"
    shutil.copytree(there.folder, kept)
    there.check(HOUR)
    yield here, there
    shutil.rmtree(there.folder)
    kept.rename(there.folder)
    (here.mirror.state / "check.sqlite").unlink(missing_ok=True)


def test_mirrors_that_are_alike_yield_nothing(two: tuple[Shelves, Shelves]) -> None:
    assert two[0].codes(HOUR) == []


def test_a_set_that_is_only_here(two: tuple[Shelves, Shelves]) -> None:
    here, there = two
    there.remove_set("inc")
    there.check(HOUR)
    found = here.only(HOUR)
    assert (found.code, found.severity, found.host) == ("mirror-differs", "warning", HOST)
    assert "is here and not on mirror-b" in found.sentence


def test_room_that_was_made_there_is_no_difference(two: tuple[Shelves, Shelves]) -> None:
    """What is older than all that it has left, it need not have."""
    here, there = two
    there.remove_set("full")
    there.check(HOUR)
    assert here.codes(HOUR) == []


def test_a_loss_that_is_acknowledged_there_is_told_here(two: tuple[Shelves, Shelves]) -> None:
    """Whoever rules that mirror may acknowledge what they like: it quiets no other one."""
    here, there = two
    there.remove_set("inc")
    run("acknowledge", HOST, "--because", "it is old", "--config", there.config)
    assert there.check(HOUR).number_of("error") == 0
    assert here.only(HOUR).code == "mirror-differs"


def test_a_set_that_has_another_receipt_there(two: tuple[Shelves, Shelves]) -> None:
    here, there = two
    path = there.path("receipt", "inc")
    path.write_bytes(path.read_bytes().replace(b'"files": ', b'"files":  '))
    there.check(HOUR)
    found = here.only(HOUR)
    assert (found.code, found.severity) == ("mirror-differs", "error")
    assert "another receipt on mirror-b" in found.sentence


def test_a_check_that_does_not_run_any_more(two: tuple[Shelves, Shelves]) -> None:
    here, _ = two
    here.configure('[[check.expect]]\nhosts = ["*"]\nlate_after = "90D"\nfull_late_after = "90D"\n')
    found = here.only(after=5 * DAY)
    assert (found.code, found.severity, found.subject) == ("peer-silent", "error", "mirror-b")
    assert "its check last looked 4 days ago" in found.sentence


def test_what_a_peer_may_see(pair: tuple[House, Shelves], two: tuple[Shelves, Shelves]) -> None:
    import requests

    peer = pair[1].mirror.check.peers[0]
    auth = ("peer", peer.password.read_text().strip())
    status = {
        path: requests.get(f"{peer.url}{path}", auth=auth, timeout=30).status_code
        for path in ("/inventory", "/metrics", "/", f"/{HOST}/", f"/{HOST}/{two[1].name('receipt')}")
    }
    assert list(status.values()) == [200, 403, 403, 403, 403]
    assert requests.get(f"{peer.url}/inventory", auth=("peer", "x"), timeout=30).status_code == 401


@pytest.fixture(scope="module")
def over_tls(pair: tuple[House, Shelves]) -> Iterator[str]:
    """The second mirror's listener: plain HTTP, as it is on loopback, with nginx in front for TLS."""
    inner, outer = pair[1].mirror.check.peers[0].url, free_port()
    there = pair[0].mirrors[1].certificate
    with folder_for_nginx() as folder:
        for path in (there, there.with_suffix(".key")):
            shutil.copy(path, folder)
        site = folder / "site.conf"
        site.write_text(
            f"server {{ listen 127.0.0.1:{outer} ssl; ssl_certificate {folder}/{there.name};"
            f" ssl_certificate_key {folder}/{there.stem}.key; location / {{ proxy_pass {inner}; }} }}\n"
        )
        with nginx(folder, site, "127.0.0.1", outer):
            yield f"https://127.0.0.1:{outer}"


@pytest.mark.parametrize("given", ["its own", "another mirror's", "none"])
def test_the_certificate_that_a_peer_is_pinned_to(
    pair: tuple[House, Shelves], two: tuple[Shelves, Shelves], over_tls: str, given: str
) -> None:
    house, here = pair
    text = here.config.read_text()
    pins = {
        "its own": f'certificate = "{house.mirrors[1].certificate}"\n',
        "another mirror's": f'certificate = "{house.mirrors[0].certificate}"\n',
        "none": "",
    }
    plain = here.mirror.check.peers[0].url
    here.config.write_text(text.replace(f'url = "{plain}"\n', f'url = "{over_tls}"\n{pins[given]}'))
    try:
        pinned = Shelves(here.config, HOST, time.time())
        if given == "its own":
            assert pinned.codes(HOUR) == []
            return
        found = pinned.only(HOUR)
        assert (found.code, found.severity, found.subject) == ("peer-silent", "error", "mirror-b")
        assert "its certificate is not one that is trusted here" in found.sentence
    finally:
        here.config.write_text(text)


SET = "duplicity-full.20260102T030405Z"
ANSWERS: dict[str, bytes] = {
    "nothing": b"",
    "deep": b"[" * 2_000_000,
    "wide": b"[" + b"[]," * 3_000_000 + b"0]",
    "long": b" " * (LONGEST + 1),
    "other": b'{"format": "x"}',
    "a list": b"[]",
    "host": json.dumps(
        {"format": FORMAT, "at": 1, "hosts": {"<b>": {"months": {}, "sets": {}}}}
    ).encode(),
    "set": json.dumps(
        {"format": FORMAT, "at": 1, "hosts": {HOST: {"months": {}, "sets": {"\x1b[2J": ["", 1]}}}}
    ).encode(),
    "digest": json.dumps(
        {"format": FORMAT, "at": 1, "hosts": {HOST: {"months": {}, "sets": {SET: ["<script>", 1]}}}}
    ).encode(),
    "time": json.dumps({"format": FORMAT, "at": 1e300, "hosts": {}}).encode(),
}


@pytest.fixture(scope="module")
def liar() -> Iterator[tuple[http.server.ThreadingHTTPServer, list[bytes]]]:
    """A peer that answers whatever it likes."""
    answer = [b""]

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(answer[0])

        def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server, answer
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize("name", ANSWERS)
def test_what_a_hostile_peer_answers(
    shelves: Shelves,
    liar: tuple[http.server.ThreadingHTTPServer, list[bytes]],
    tmp_path: Path,
    name: str,
) -> None:
    server, answer = liar
    answer[0] = ANSWERS[name]
    believe(shelves, server.server_address[1], tmp_path)
    found = shelves.only(HOUR)
    assert (found.code, found.severity) == ("peer-silent", "error")
    assert "nothing was ever heard of it" in found.sentence


def believe(shelves: Shelves, port: int, folder: Path) -> None:
    """Have the check ask a peer at this port."""
    (folder / "password").write_text("x")
    shelves.configure(
        f'[[check.peer]]\nname = "liar"\nurl = "http://127.0.0.1:{port}"\n'
        f'password_file = "{folder / "password"}"\n'
    )


@pytest.mark.parametrize("octets", [b"\xff", "пароль".encode()])
def test_a_password_of_any_octets(
    shelves: Shelves,
    liar: tuple[http.server.ThreadingHTTPServer, list[bytes]],
    tmp_path: Path,
    octets: bytes,
) -> None:
    believe(shelves, liar[0].server_address[1], tmp_path)
    (tmp_path / "password").write_bytes(octets)
    assert shelves.only(HOUR).code == "peer-silent"


def test_a_peer_that_looked_in_the_future_is_missed_all_the_same(
    shelves: Shelves, liar: tuple[http.server.ThreadingHTTPServer, list[bytes]], tmp_path: Path
) -> None:
    server, answer = liar
    answer[0] = json.dumps({"format": FORMAT, "at": 9e11, "hosts": {}}).encode()
    believe(shelves, server.server_address[1], tmp_path)
    shelves.check()
    answer[0] = b""
    shelves.configure('[[check.expect]]\nhosts = ["*"]\nlate_after = "90D"\nfull_late_after = "90D"\n')
    found = shelves.only(after=5 * DAY)
    assert (found.code, found.severity) == ("peer-silent", "error")
    assert "its check last looked 5 days ago" in found.sentence


@pytest.mark.parametrize(
    ("begin", "piece"),
    [
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
        (b"HTTP/1.1 200 OK\r\nX: ", b"x"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n", b"x"),
    ],
    ids=["not yet", "head", "body"],
)
def test_a_peer_that_dribbles_holds_nobody_up(
    shelves: Shelves, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, begin: bytes, piece: bytes
) -> None:
    """It answers octet by octet, without an end: each of them in time, for what waits for one."""
    monkeypatch.setattr(peers, "_DEADLINE", 0.5)
    over = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listening:
        believe(shelves, listening.getsockname()[1], tmp_path)

        listening.settimeout(60)

        def dribble() -> None:
            with suppress(OSError), listening.accept()[0] as connection:
                connection.sendall(begin)
                while not over.wait(0.05):
                    connection.sendall(piece)

        thread = threading.Thread(target=dribble)
        thread.start()
        try:
            found = shelves.only(HOUR)
        finally:
            over.set()
            thread.join()
    assert (found.code, found.severity) == ("peer-silent", "error")
    assert "it answers too slowly" in found.sentence
