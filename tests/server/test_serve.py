"""`nightdrop serve`: what it says, how it starts and stops, and what it refuses to start with."""

import dataclasses
import importlib.metadata
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import suppress
from datetime import timedelta
from http.client import HTTPException
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, PrivateFormat
from cryptography.x509 import IPAddress, SubjectAlternativeName

import nightdrop_server
from certificates import SINCE, make_certificate, to_pem
from nightdrop.mirror import load_mirror
from nightdrop_server.listener import WRITTEN_FOR

from faults import failing
from house import run
from mirrors import NIGHTDROP, PATIENCE, Mirror, new_name


@pytest.fixture
def mirror(recipient: Path, tmp_path: Path) -> Mirror:
    return Mirror(tmp_path, "fresh", [recipient])


def refused(mirror: Mirror, status: int) -> str:
    """The error line (and hint) of a mirror that does not start."""
    command = [*NIGHTDROP, "serve", "--config", str(mirror.config)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=PATIENCE)
    assert (done.returncode, done.stdout) == (status, ""), done.stderr
    lines = done.stderr.splitlines()
    assert lines[0].startswith("nightdrop: error: ")
    assert all(line.startswith("hint: ") for line in lines[1:]) and len(lines) <= 2
    return done.stderr


def test_canary_cheroot_is_the_one_the_listener_was_written_for() -> None:
    """With another one: read what changed, where listener.py says, and run all of this."""
    assert importlib.metadata.version("cheroot") == WRITTEN_FOR


def test_example_configuration_is_true(tmp_path: Path) -> None:
    """It loads, knows no key that the loader does not, and shows the defaults as they are."""
    example = Path(nightdrop_server.__file__).parent / "mirror.example.toml"
    required = ("name", "vault", "url", "recipients")
    minimal = [line for line in example.read_text().splitlines() if line.startswith(required)]
    (tmp_path / "minimal.toml").write_text("\n".join(minimal))
    shown, default = load_mirror(example), load_mirror(tmp_path / "minimal.toml")
    assert dataclasses.replace(shown, path=default.path, recipients=default.recipients) == default


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_stops_cleanly(mirror: Mirror, how: signal.Signals) -> None:
    mirror.start()
    assert mirror.process is not None
    mirror.process.send_signal(how)
    assert mirror.process.wait(PATIENCE) == 0
    assert mirror.log.read_text() == ""
    mirror.process = None


def test_stops_in_the_middle_of_an_upload(mirror: Mirror, tmp_path: Path) -> None:
    """What is not whole when it stops is not kept, and stopping does not wait for it: it would go on."""
    mirror.enroll("web1", tmp_path / "web1.toml")
    mirror.start()
    with mirror.upload_under_way(tmp_path / "web1.toml") as sock:
        going_on = threading.Thread(target=send_slowly, args=(sock,))
        going_on.start()
        mirror.stop()
        going_on.join(PATIENCE)
        assert not going_on.is_alive()
    assert mirror.stored("web1") == {}


def send_slowly(sock: socket.socket) -> None:
    """For as long as somebody listens: nearly a day, for what is missing of half a megabyte."""
    with suppress(OSError):
        while True:
            sock.sendall(b"x")
            time.sleep(0.1)


def test_a_connection_that_cannot_be_kept_costs_no_other(mirror: Mirror, tmp_path: Path) -> None:
    """The kernel has no memory for one more to wait for: that one is closed, and the door stands."""
    request = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
    with mirror.start(), mirror.connect() as sock:
        sock.sendall(request)
        assert sock.recv(4096).startswith(b"HTTP/1.1 405 ")
        with failing(mirror, "epoll_ctl", "ENOMEM", 1, tmp_path / "trace"):
            sock.sendall(request)
            while sock.recv(4096):
                pass
        assert "EPOLL_CTL_ADD" in (tmp_path / "trace").read_text()
        assert " trouble: OSError: [Errno 12] Cannot allocate memory at " in mirror.log.read_text()
        assert mirror.ask("GET", "/").status == 405


def test_a_door_that_ends_by_itself_ends_its_process(mirror: Mirror) -> None:
    """Whatever that was, systemd starts it anew only then, and hosts would wait at a door that is not."""
    end = "import sys; from nightdrop_server.door import Door; Door.__call__ = lambda *_: sys.exit('bug')"
    serve = f"{end}; from nightdrop.cli import main; main()"
    command = [sys.executable, "-c", serve, "serve", "--config", str(mirror.config)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert "serves" in process.stdout.readline()
        with suppress(OSError, HTTPException):
            mirror.ask("GET", "/")
        try:
            _, said = process.communicate(timeout=PATIENCE)
        finally:
            process.kill()
    assert process.returncode == 1
    assert "nightdrop: error: a listener ended by itself; the log says why\n" in said


def test_says_where_it_listens(recipient: Path, tmp_path: Path) -> None:
    """Port 0 takes a free one; the ready line is the only way to know it."""
    mirror = Mirror(tmp_path, "any", [recipient], tls=False)
    text = mirror.config.read_text()
    mirror.config.write_text(text.replace(f'"127.0.0.1:{mirror.port}"', '"127.0.0.1:0"'))
    with mirror.start():
        pattern = rf"nightdrop: mirror any serves {mirror.url} \(listening on 127\.0\.0\.1:(\d+)\)\n"
        found = re.fullmatch(pattern, mirror.ready_line)
        assert found is not None, mirror.ready_line
        with socket.create_connection(("127.0.0.1", int(found[1]))) as sock:
            sock.sendall(b"OPTIONS / HTTP/1.1\r\nHost: x\r\n\r\n")
            assert sock.recv(100).startswith(b"HTTP/1.1 401 ")


def test_ipv6(recipient: Path, tmp_path: Path) -> None:
    with Mirror(tmp_path, "six", [recipient], address="::1").start() as mirror:
        mirror.enroll("web1", tmp_path / "web1.toml")
        fields = mirror.credentials(tmp_path / "web1.toml")
        assert mirror.ask("PUT", f"/web1/{new_name()}", b"x", fields).status == 201
        assert " ::1 web1 PUT " in mirror.log.read_text()


def test_every_address(recipient: Path, tmp_path: Path) -> None:
    """`[::]` is IPv4, too, and addresses are logged as their owners know them."""
    mirror = Mirror(tmp_path, "both", [recipient], tls=False)
    text = mirror.config.read_text()
    mirror.config.write_text(text.replace(f'"127.0.0.1:{mirror.port}"', f'"[::]:{mirror.port}"'))
    with mirror.start():
        for address in ("127.0.0.1", "::1"):
            mirror.address = address
            assert mirror.ask("GET", "/").status == 405
        lines = mirror.log.read_text().splitlines()
        assert [line.split()[1] for line in lines] == ["127.0.0.1", "::1"]
        assert f"[::]:{mirror.port}" in mirror.ready_line


def test_path_in_the_url(recipient: Path, tmp_path: Path) -> None:
    """Behind a proxy that hands a path on: names are below it, also in listings."""
    with Mirror(tmp_path, "path", [recipient], tls=False, url_path="/drops").start() as mirror:
        mirror.enroll("web1", tmp_path / "web1.toml")
        fields = mirror.credentials(tmp_path / "web1.toml")
        name = new_name()
        assert mirror.ask("PUT", f"/web1/{name}", b"x", fields).status == 403
        assert mirror.ask("PUT", f"/drops/web1/{name}", b"x", fields).status == 201
        listing = mirror.ask("PROPFIND", "/drops/web1/", None, fields | {"Depth": "1"})
        assert f">/drops/web1/{name}<".encode() in listing.body


def test_port_in_use(mirror: Mirror) -> None:
    with socket.create_server((mirror.address, mirror.port)):
        assert f"{mirror.port}: Address already in use" in refused(mirror, 1)


def test_address_of_another_machine(mirror: Mirror) -> None:
    text = mirror.config.read_text()
    mirror.config.write_text(text.replace(f'"127.0.0.1:{mirror.port}"', '"192.0.2.1:8443"'))
    assert "192.0.2.1:8443" in refused(mirror, 1)


def test_configuration_that_is_not_there(mirror: Mirror) -> None:
    mirror.config.unlink()
    assert str(mirror.config) in refused(mirror, 2)


def test_vault_that_is_a_file(mirror: Mirror) -> None:
    mirror.vault.write_text("")
    assert str(mirror.vault) in refused(mirror, 1)


def test_vault_on_a_file_system_that_will_not_do(mirror: Mirror) -> None:
    """/proc cannot be written to, not even by root."""
    text = mirror.config.read_text()
    mirror.config.write_text(text.replace(str(mirror.vault), "/proc/self"))
    assert "vault /proc/self" in refused(mirror, 1)


def test_key_and_certificate_that_cannot_be_served_with(mirror: Mirror, tmp_path: Path) -> None:
    """Each flaw has its line, with a hint, when the door starts and from `doctor`."""
    mirror.enroll("web1", tmp_path / "web1.toml")
    certificate, key = mirror.certificate, mirror.state / "tls.key"
    good = {path: path.read_bytes() for path in (certificate, key)}
    other = ec.generate_private_key(ec.SECP256R1())
    locked = other.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"x"))
    flaws: list[tuple[dict[Path, bytes], str]] = [
        ({certificate: good[certificate]}, f"there is no {key}, though there is {certificate}"),
        ({key: good[key]}, f"there is no {certificate}, though there is {key}"),
        (good | {key: to_pem(other)}, f"{key} is not the key of the certificate {certificate}"),
        (good | {key: b"hello"}, f"{key}: this is no private key in PEM without a passphrase"),
        (good | {key: locked}, f"{key}: this is no private key in PEM without a passphrase"),
        (good | {certificate: good[key]}, f"{certificate}: this is no certificate in PEM"),
        (
            {certificate: to_pem(make_certificate(other, "x")), key: to_pem(other)},
            f"{certificate}: the certificate is for no host, not for 127.0.0.1, which `url` in",
        ),
    ]
    for files, flaw in flaws:
        for path in good:
            path.unlink(missing_ok=True)
        for path, octets in files.items():
            path.write_bytes(octets)
        error, hint = refused(mirror, 2).splitlines()
        assert error.startswith(f"nightdrop: error: {flaw}")
        assert "--again" in hint
        done = run("doctor", "--config", mirror.config, expect=1)
        assert f"fail  certificate: {flaw}" in done.stdout
        assert f"hint: {hint.removeprefix('hint: ')}" in done.stdout


def test_a_certificate_that_has_expired(mirror: Mirror, tmp_path: Path) -> None:
    """Hosts refuse it, so none is enrolled any more; the door says so, and does what it can."""
    mirror.enroll("web1", tmp_path / "web1.toml")
    key = ec.generate_private_key(ec.SECP256R1())
    names = SubjectAlternativeName([IPAddress(ip_address("127.0.0.1"))])
    expired = make_certificate(key, "x", extensions=(names,), until=SINCE + timedelta(days=1))
    mirror.certificate.write_bytes(to_pem(expired))
    (mirror.state / "tls.key").write_bytes(to_pem(key))
    with mirror.start():
        said = (
            f" trouble: {mirror.certificate} has expired, and hosts refuse it: take tls.crt and tls.key "
        )
        assert said in mirror.log.read_text()
    done = run("enroll", "web2", "--config", mirror.config, expect=2)
    assert f"{mirror.certificate} has expired" in done.stderr
    assert (
        "fail  certificate: expired on 2020-01-02\n"
        in run("doctor", "--config", mirror.config, expect=1).stdout
    )


@pytest.mark.parametrize("host", ["x:99999", f"{'a' * 64}.org", "a..b", "", "[::1"])
def test_url_that_nobody_could_reach(mirror: Mirror, host: str) -> None:
    url = f'url = "{mirror.url}"'
    mirror.config.write_text(mirror.config.read_text().replace(url, f'url = "https://{host}"'))
    assert "key `url`" in refused(mirror, 2)


@pytest.mark.parametrize("listen", ["1.2.3.4:65536", f"{'a' * 64}:1", "a..b:1", ":1", f"a:{'1' * 5000}"])
def test_where_nobody_could_listen(mirror: Mirror, listen: str) -> None:
    text = mirror.config.read_text().replace(
        f'listen = "127.0.0.1:{mirror.port}"', f'listen = "{listen}"'
    )
    mirror.config.write_text(text)
    assert "key `listen`" in refused(mirror, 2)


@pytest.mark.parametrize("path", ["/a b", "/a%20b", "/?x", "//a", "/#x"])
def test_url_that_the_door_could_not_tell_apart(mirror: Mirror, path: str) -> None:
    mirror.config.write_text(mirror.config.read_text().replace(mirror.url, mirror.url + path))
    assert "key `url`" in refused(mirror, 2)


def test_memory_at_rest(mirror: Mirror) -> None:
    with mirror.start():
        assert mirror.memory() < 80 * 1024 * 1024
