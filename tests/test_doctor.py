"""`nightdrop doctor`, with two real mirrors: all well, and each thing that can be wrong."""

import http.client
import json
import os
import shutil
import socket
import ssl
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from nightdrop.enrolment import BundleMirror
from nightdrop_client.visiting import _status_line, visit

from house import HOST, House, Key, run
from mirrors import Mirror

Lines = dict[str, tuple[str, str, str]]


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory, admin_key: Key) -> Iterator[House]:
    """With one backup made."""
    house = House(tmp_path_factory.mktemp("doctor"), admin_key)
    house.start()
    (house.source / "file").write_text("x")
    house.backup()
    yield house
    house.close()


def doctor(house: House, *words: object, expect: int = 0) -> Lines:
    """What it says: for each thing looked at, the verdict, the text and the hint."""
    done = run("doctor", "--config", house.config, "--json", *words, expect=expect)
    told = json.loads(done.stdout)
    assert told["well"] is (expect == 0)
    [lines] = told["roles"].values()
    return {line["what"]: (line["verdict"], line["text"], line["hint"]) for line in lines}


@contextmanager
def changed_bundle(house: House, old: str, new: str) -> Iterator[None]:
    text = house.bundle.read_text()
    assert old in text
    house.bundle.write_text(text.replace(old, new))
    try:
        yield
    finally:
        house.bundle.write_text(text)


def test_all_is_well_and_nothing_is_left_of_it(house: House) -> None:
    before = [house.names(0), house.names(1)]
    lines = doctor(house)
    for name in ("mirror-a", "mirror-b"):
        assert lines[f"mirror {name}"][0] == "ok"
        assert lines[f"mirror {name}, GET"] == ("ok", "is refused (405)", "")
        assert lines[f"mirror {name}, PUT"][0] == "ok"
        assert lines[f"mirror {name}, clock"][0] == "ok"
        assert lines[f"mirror {name}, certificate"][0] == "ok"
    assert lines["recipient CN=admin"][0] == "ok"
    assert lines["backups"][0] == "ok"
    assert lines["next backup"][1].startswith("an incremental")
    assert [house.names(0), house.names(1)] == before
    assert run("check", "--config", house.mirrors[0].config, "--no-page").returncode == 0


def test_people_read_it_too(house: House) -> None:
    done = run("doctor", "--config", house.config)
    assert done.stdout.startswith(
        f"client, {house.config}\nok    configuration: web1 backs up {house.source}\n"
    )


def test_a_wrong_password(house: House) -> None:
    with changed_bundle(
        house, f'password = "{house.mirrors[0].password(house.bundle)}"', 'password = "no"'
    ):
        lines = doctor(house, expect=1)
    verdict, text, hint = lines["mirror mirror-a"]
    assert (verdict, text) == ("fail", f"it does not accept the password of {HOST}")
    assert "--again" in hint
    assert "mirror mirror-a, PUT" not in lines
    assert lines["mirror mirror-b, PUT"][0] == "ok"


def test_another_certificate(house: House) -> None:
    first, second = (mirror.certificate.read_text() for mirror in house.mirrors)
    with changed_bundle(house, first, second):
        lines = doctor(house, expect=1)
    assert lines["mirror mirror-a"][0] == "fail"
    assert "not the one that enrolment pinned" in lines["mirror mirror-a"][1]


def test_a_mirror_that_is_away_and_one_without_room(tmp_path: Path, admin_key: Key) -> None:
    house = House(tmp_path, admin_key)
    second = house.mirrors[1]
    (second.state / "hosts" / f"{HOST}.toml").write_text(
        f'host = "{HOST}"\nkind = "duplicity"\nenrolled = "2026-01-02T03:04:05Z"\nquota = "1"\n'
    )
    (second.vault / HOST / "duplicity-full.20260102T030405Z.vol1.difftar.p7m").write_text("full")
    second.start()
    try:
        lines = doctor(house, expect=1)
    finally:
        house.close()
    assert lines["mirror mirror-a"][0] == "fail"
    assert "is not reached" in lines["mirror mirror-a"][1]
    assert lines["mirror mirror-b"][0] == "ok"
    assert lines["mirror mirror-b, PUT"][0] == "fail"
    assert "507" in lines["mirror mirror-b, PUT"][1]
    assert lines["backups"][0] == "warn"


class _Leaky(BaseHTTPRequestHandler):
    """A web server that somebody put in a mirror's place: it gives out what it has, two days late."""

    def do_OPTIONS(self) -> None:
        self.send_response_only(200)
        late = datetime.now(UTC) - timedelta(days=2)
        self.send_header("Date", f"{late:%a, %d %b %Y %H:%M:%S GMT}")
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_GET = do_OPTIONS  # noqa: N815

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass


def test_a_server_that_gives_backups_out_and_has_another_time(house: House) -> None:
    server = HTTPServer(("127.0.0.1", 0), _Leaky)
    mirror = house.mirrors[0]
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(mirror.certificate, mirror.state / "tls.key")
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        with changed_bundle(house, mirror.url, f"https://127.0.0.1:{server.server_port}"):
            lines = doctor(house, expect=1)
    finally:
        server.shutdown()
        server.server_close()
    assert lines["mirror mirror-a, GET"][0] == "fail"
    assert lines["mirror mirror-a, clock"][:2] == ("fail", "is 2 days behind this machine's")
    assert lines["mirror mirror-a, PUT"][0] == "fail"


@pytest.mark.parametrize("line", [b"HTTP/1.1 \xb2", b"HTTP/1.1 \xb2\xb2\xb2 OK", b"", b"\xff\x1b[2J"])
def test_an_answer_that_is_none(line: bytes) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(line + b"\r\n\r\n")
        with pytest.raises(http.client.BadStatusLine):
            _status_line(ours)


def test_a_certificate_that_is_none() -> None:
    mirror = BundleMirror("mirror-a", "https://127.0.0.1:1", "web1", "password", "none")
    [line] = visit("web1", mirror)
    assert (line.verdict, line.what) == ("fail", "mirror mirror-a, certificate")
    assert "a new bundle" in line.hint


def test_a_bundle_that_others_can_read(house: House) -> None:
    house.bundle.chmod(0o644)
    try:
        lines = doctor(house)
    finally:
        house.bundle.chmod(0o600)
    assert lines["bundle"][0] == "warn"
    assert lines["bundle"][2] == f"chmod 600 {house.bundle}"


def test_a_configuration_that_is_wrong_is_a_line(house: House, tmp_path: Path) -> None:
    config = tmp_path / "client.toml"
    shutil.copy(house.bundle, tmp_path / "bundle.toml")
    config.write_text(house.config.read_text() + "colour = 1\n")
    done = run("doctor", "--role", "client", "--config", config, expect=1)
    assert "fail  configuration: " in done.stdout
    assert "colour" in done.stdout


def test_a_host_without_a_backup_yet(house: House, tmp_path: Path) -> None:
    config = tmp_path / "client.toml"
    shutil.copy(house.bundle, tmp_path / "bundle.toml")
    text = house.config.read_text().replace(str(house.state), str(tmp_path / "state"))
    config.write_text(text)
    done = run("doctor", "--config", config)
    assert "warn  backups: there is none yet" in done.stdout


def test_how_the_last_run_went(tmp_path: Path, admin_key: Key) -> None:
    house = House(tmp_path, admin_key)
    house.start()
    try:
        (house.source / "file").write_text("x")
        house.backup()
        verdict, text, _ = doctor(house)["last run"]
        assert (verdict, text.endswith(", went well")) == ("ok", True)
        house.mirrors[1].stop()
        house.backup(expect=3)
        verdict, text, hint = doctor(house, expect=1)["last run"]
        assert verdict == "warn"
        assert ", did not get everything everywhere: the mirror mirror-b does not have" in text
        assert "nightdrop status" in hint
        house.mirrors[0].stop()
        house.backup(expect=1)
        verdict, text, _ = doctor(house, expect=1)["last run"]
        assert (verdict, ", FAILED: no mirror takes the backups of web1" in text) == ("warn", True)
    finally:
        house.close()


def mirror_lines(mirror: Mirror, expect: int = 0) -> Lines:
    done = run("doctor", "--config", mirror.config, "--json", expect=expect)
    [(role, lines)] = json.loads(done.stdout)["roles"].items()
    assert role == "mirror"
    return {line["what"]: (line["verdict"], line["text"], line["hint"]) for line in lines}


def test_a_host_whose_backup_is_of_nothing(house: House, tmp_path: Path) -> None:
    config, nothing = house.root / "nothing.toml", tmp_path / "nothing"
    nothing.mkdir()
    lines = [f'bundle = "{house.bundle}"', f'state = "{tmp_path / "state"}"']
    config.write_text("\n".join([*lines, "[folders]", f'include = ["{nothing}"]', ""]))
    run("backup", "--config", config, expect=3)
    done = run("doctor", "--config", config)
    assert "; there is no file in it" in " ".join(done.stdout.split())


def test_a_mirror_looks_at_itself(house: House) -> None:
    mirror = house.mirrors[0]
    lines = mirror_lines(mirror)
    assert lines["door"] == ("ok", "refuses GET (405)", "")
    assert lines["hosts"][1] == f"1 host may drop here: {HOST}"
    assert lines["vault"][0] == "ok"
    assert lines["mail"][0] == "warn"
    assert lines["certificate"][0] == "ok"
    bad = mirror.state / "hosts" / "bad.toml"
    bad.write_text("x")
    try:
        assert mirror_lines(mirror, expect=1)["host bad"][0] == "fail"
    finally:
        bad.unlink()


def test_a_mirror_that_does_not_serve(tmp_path: Path, admin_key: Key) -> None:
    mirror = Mirror(tmp_path, "one", [admin_key.certificate])
    lines = mirror_lines(mirror, expect=1)
    assert lines["vault"][0] == "fail"
    mirror.enroll("web1", tmp_path / "web1.toml")
    lines = mirror_lines(mirror, expect=1)
    assert lines["vault"][0] == "ok"
    assert lines["door"][0] == "fail"
    assert "does not answer on 127.0.0.1" in lines["door"][1]


def test_what_the_mirrors_user_cannot_read(admin_key: Key) -> None:
    """Root reads everything; the check, which runs as nightdrop, does not, and goes through no link to
    where it may not.
    """
    with tempfile.TemporaryDirectory(dir="/var/tmp", prefix="nightdrop-doctor-") as name:
        root = Path(name)
        root.chmod(0o755)
        recipients, password = root / "recipients.pem", root / "smtp.password"
        shutil.copy(admin_key.certificate, recipients)
        password.write_text("secret\n")
        mirror = Mirror(root, "owned", [recipients])
        with mirror.config.open("a") as file:
            file.write(
                '[check.mail]\nto = ["a@example.org"]\nserver = "127.0.0.1:1"\n'
                f'password_file = "{password}"\n'
            )
        for folder in (mirror.state, mirror.vault):
            folder.mkdir()
            os.chown(folder, 4711, 4711)
        lines = mirror_lines(mirror, expect=1)
        assert lines["recipient CN=admin"][0] == "ok"
        assert lines["mail"] == ("ok", "to a@example.org by 127.0.0.1:1", "")
        for path in (recipients, password):
            path.chmod(0o600)
        lines = mirror_lines(mirror, expect=1)
        assert lines["recipients"][0] == "fail"
        assert lines["recipients"][1].startswith(f"{recipients}: cannot")
        assert lines["mail"][0] == "fail"
        assert lines["mail"][2] == f"chgrp nightdrop {password}; chmod 640 {password}"


def test_mails_that_could_not_be_sent(tmp_path: Path, admin_key: Key) -> None:
    mirror = Mirror(tmp_path, "one", [admin_key.certificate])
    mirror.enroll("web1", tmp_path / "web1.toml")
    with mirror.config.open("a") as file:
        file.write('[check.mail]\nto = ["a@example.org"]\nserver = "127.0.0.1:1"\n')
    run("check", "--config", mirror.config, "--mail", "--no-page", expect=3)
    verdict, text, hint = mirror_lines(mirror, expect=1)["mail"]
    assert (verdict, text) == ("warn", "to a@example.org by 127.0.0.1:1; 1 mail could not be sent yet")
    assert "--send" in hint


def test_an_administrators_machine() -> None:
    done = run("doctor", "--role", "admin")
    assert "ok    duplicity: 3.2.1" in done.stdout
    run("doctor", "--role", "admin", "--config", "/nowhere", expect=2)
