"""What attackers and accidents can do, as docs/THREATS.md says; the door's table is in tests/server."""

import http.server
import json
import os
import shutil
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from house import HOST, House, Key, run
from mirrors import Mirror
from trees import describe, differences

TELLTALE = b"what only the administrator may read " * 1000


def test_a_vault_shows_no_name_and_no_content(house: House) -> None:
    """Neither the files' content, nor their names, nor their folders' names are on a mirror."""
    (house.source / "telltale-folder").mkdir()
    (house.source / "telltale-folder" / "telltale-name").write_bytes(TELLTALE)
    os.link(house.source / "telltale-folder" / "telltale-name", house.source / "telltale-link")
    house.configure('compress = "none"')
    house.backup()
    for mirror in house.mirrors:
        everything = b"".join(path.read_bytes() for path in mirror.root.rglob("*") if path.is_file())
        assert b"what only the administrator" not in everything
        assert b"telltale" not in everything


def test_a_client_holds_nothing_that_opens_its_own_past(house: House) -> None:
    """All that a host has, its state included, does not open one envelope of its own."""
    (house.source / "file").write_bytes(TELLTALE)
    house.backup()
    [volume] = [name for name in house.names() if ".vol1." in name]
    for path in [house.bundle, *house.state.rglob("*")]:
        if path.is_file():
            assert b"PRIVATE KEY" not in path.read_bytes()
    done = run("open", "--key", house.bundle, house.mirrors[0].vault / HOST / volume, expect=2)
    assert "is no private key" in done.stderr


def test_a_password_opens_one_host_on_one_mirror(house: House, tmp_path: Path) -> None:
    """A mirror sees passwords as they come. What it sees is of no use on the other one."""
    other = tmp_path / "other.toml"
    for mirror in house.mirrors:
        mirror.enroll("web2", other)
    passwords = [m.password(bundle) for m in house.mirrors for bundle in (house.bundle, other)]
    assert len(set(passwords)) == 4
    name = "duplicity-full.20260102T030405Z.manifest.p7m"
    stolen = house.mirrors[0].credentials(house.bundle)
    assert house.mirrors[1].ask("PUT", f"/{HOST}/{name}", b"x", stolen).status == 401
    assert house.mirrors[0].ask("PUT", f"/web2/{name}", b"x", stolen).status == 403


def test_a_mirror_that_says_yes_and_keeps_nothing_harms_only_itself(house: House, tmp_path: Path) -> None:
    """It cannot make the client forget anything, nor spoil what the honest mirror gets."""
    (house.source / "file").write_text("one")
    house.mirrors[1].stop()
    with yes_sayer(house.mirrors[1]) as asked:
        assert house.backup()["type"] == "full"
        local = sorted(os.listdir(house.state / "archive" / "backup"))
        (house.source / "file").write_text("two")
        assert house.backup()["type"] == "inc"
        assert set(local) < set(os.listdir(house.state / "archive" / "backup"))
    assert {method for method, _ in asked} == {"OPTIONS", "PUT"}, "it was asked what it has"
    restored = house.restore(tmp_path / "restored", mirror=0)
    assert differences(describe(house.source), describe(restored)) == {}


def test_a_machine_set_back_to_an_older_image(house: House, tmp_path: Path) -> None:
    """Its next set builds on what it remembers; that set restores, and so does all that was before."""
    image = tmp_path / "image"
    (house.source / "file").write_text("one")
    house.backup()
    shutil.copytree(house.state, image, copy_function=shutil.copy2)
    (house.source / "file").write_text("two")
    lost = str(house.backup()["set"]).rsplit(".", 1)[-1]
    shutil.rmtree(house.state)
    image.rename(house.state)
    house.let_a_second_pass()
    (house.source / "file").write_text("three")
    assert house.backup()["type"] == "inc"
    (house.source / "file").write_text("four")
    # duplicity sees no change within one second of a file's modification time; a run can be that short.
    os.utime(house.source / "file", (1_800_000_000, 1_800_000_000))
    house.backup()

    restored = house.restore(tmp_path / "now")
    assert (restored / "file").read_text() == "four"
    moment = f"{lost[:4]}-{lost[4:6]}-{lost[6:11]}:{lost[11:13]}:{lost[13:15]}+00:00"
    restored = house.restore(tmp_path / "then", "--time", moment)
    assert (restored / "file").read_text() == "two"


def test_any_recipient_restores_so_one_key_may_be_lost(
    house: House, tmp_path: Path, other_key: Key
) -> None:
    text = house.bundle.read_text()
    end = text.index("-----END CERTIFICATE-----") + 26
    house.bundle.write_text(text[:end] + other_key.certificate.read_text() + text[end:])
    (house.source / "file").write_bytes(TELLTALE)
    house.backup()
    for number, key in enumerate((house.key, other_key)):
        to = tmp_path / f"restored-{number}"
        words = ["--host", HOST, "--to", to, *key.arguments]
        run("restore", "run", house.mirrors[0].vault, *words)
        assert (to / house.source.relative_to("/") / "file").read_bytes() == TELLTALE


def test_a_swapped_key_is_noticed_by_the_check(house: House, other_key: Key) -> None:
    """A rooted client that encrypts to a key of the attacker's, so that nothing can be restored."""
    (house.source / "file").write_text("x")
    house.backup()
    text = house.bundle.read_text()
    start, end = text.index("-----BEGIN"), text.index("-----END CERTIFICATE-----") + 26
    house.bundle.write_text(text[:start] + other_key.certificate.read_text() + text[end:])
    house.backup("--full")
    done = run("check", "--config", house.mirrors[0].config, "--json", "--no-page", expect=4)
    assert {finding["code"] for finding in json.loads(done.stdout)["findings"]} == {"wrong-recipient"}


def test_an_altered_or_forged_file_is_not_restored(house: House, tmp_path: Path) -> None:
    """A rooted mirror alters one bit, or seals something of its own under an old name."""
    (house.source / "file").write_bytes(os.urandom(100_000))
    house.backup()
    vault = house.mirrors[0].vault / HOST
    [volume] = [vault / name for name in house.names() if ".vol1." in name]
    good = volume.read_bytes()
    evil = tmp_path / "evil.tar"
    subprocess.run(["tar", "-C", "/etc", "-cf", evil, "hostname"], check=True)
    forged = tmp_path / "forged"
    run("seal", "--recipient", house.key.certificate, "-o", forged, evil)
    altered = bytearray(good)
    altered[len(good) // 2] ^= 1
    for number, octets in enumerate((bytes(altered), forged.read_bytes())):
        volume.write_bytes(octets)
        to = tmp_path / f"restored-{number}"
        words = ["--host", HOST, "--to", to, *house.key.arguments]
        done = run("restore", "run", house.mirrors[0].vault, *words, expect=3)
        assert "its SHA1 is not what the manifest says" in done.stderr + done.stdout
        assert [path for path in to.rglob("*") if not path.is_dir()] == []
        run("check", "--config", house.mirrors[0].config, "--json", "--no-page", expect=4)


@contextmanager
def yes_sayer(mirror: Mirror) -> Iterator[list[tuple[str, str]]]:
    """In a mirror's place and with its certificate: says yes to everything. What it was asked."""
    asked: list[tuple[str, str]] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            asked.append((self.command, self.path))
            left = int(self.headers.get("Content-Length", "0"))
            while left and (piece := self.rfile.read(min(left, 1 << 20))):
                left -= len(piece)
            self.send_response(201 if self.command == "PUT" else 200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        do_GET = do_PUT = do_OPTIONS = do_PROPFIND = do_DELETE = answer  # noqa: N815

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer((mirror.address, mirror.port), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(mirror.certificate, mirror.state / "tls.key")
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield asked
    finally:
        server.shutdown()
        server.server_close()
