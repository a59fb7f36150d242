"""`nightdrop nginx-config`, with the real nginx: in the door's place, and in front of it."""

import http.client
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from nightdrop.names import NAME_PATTERN, parse_name

from house import House, Key, complaint, run
from mirrors import Mirror, basic, environment_without_proxies, new_name, reply, wait_until
from nginx import USER, folder_for_nginx, nginx
from ports import free_port

STORED = b"the bytes that came first"


def hand_to_nginx(mirror: Mirror) -> None:
    """What the head of the classic configuration asks for."""
    subprocess.run(["chown", "-R", f"{USER}:", mirror.vault, mirror.state], check=True)


@contextmanager
def classic(folder: Path, mirror: Mirror) -> Iterator[None]:
    """nginx in the door's place."""
    site = folder / "site.conf"
    run("nginx-config", "--config", mirror.config, "-o", site)
    hand_to_nginx(mirror)
    with nginx(folder, site, mirror.address, mirror.port):
        yield


@dataclass(frozen=True)
class Classic:
    """A mirror that nginx serves, and the bundles of web1, which may come from 127.0.0.1, and web2."""

    mirror: Mirror
    bundles: dict[str, Path]

    def fields(self, host: str = "web1") -> dict[str, str]:
        return self.mirror.credentials(self.bundles[host])


@pytest.fixture(scope="module")
def served(recipient: Path) -> Iterator[Classic]:
    with folder_for_nginx() as folder:
        limits = {"max_file": "3M"}
        mirror = Mirror(folder, "one", [recipient], limits=limits)
        bundles = {host: folder / f"{host}.toml" for host in ("web1", "web2", "default", "0")}
        for host, bundle in bundles.items():
            mirror.enroll(host, bundle, *(() if host == "web2" else ("--network", "127.0.0.1", "::1")))
        with classic(folder, mirror):
            yield Classic(mirror, bundles)


# What is asked for, of what | answer to: the host itself, another host, a wrong password, nobody
POLICY: list[tuple[str, str, int, int, int, int]] = [
    ("PUT", "a new name", 201, 403, 401, 401),
    ("PUT", "a taken name", 409, 403, 409, 401),
    ("PUT", "a bad name", 403, 403, 403, 403),
    ("PUT", "the folder", 409, 403, 409, 401),
    ("PROPFIND", "the folder", 207, 403, 401, 401),
    ("PROPFIND", "a taken name", 207, 403, 401, 401),
    ("OPTIONS", "the folder", 200, 403, 401, 401),
    ("GET", "a taken name", 405, 405, 405, 405),
    ("GET", "the folder", 405, 405, 405, 405),
    ("HEAD", "a taken name", 405, 405, 405, 405),
    ("DELETE", "a taken name", 405, 405, 405, 405),
    ("MOVE", "a taken name", 405, 405, 405, 405),
    ("COPY", "a taken name", 405, 405, 405, 405),
    ("MKCOL", "a new name", 405, 405, 405, 405),
    ("LOCK", "a taken name", 405, 405, 405, 405),
    ("PROPPATCH", "a taken name", 405, 405, 405, 405),
    ("POST", "a new name", 405, 405, 405, 405),
    ("PATCH", "a taken name", 405, 405, 405, 405),
]


@pytest.mark.parametrize("row", POLICY, ids=[f"{row[0]} {row[1]}" for row in POLICY])
def test_policy(served: Classic, row: tuple[str, str, int, int, int, int]) -> None:
    method, what, *answers = row
    taken = new_name()
    first = served.mirror.ask("PUT", f"/web1/{taken}", STORED, served.fields())
    assert first.status == 201
    who = [served.fields(), served.fields("web2"), basic("web1", "wrong"), {}]
    for fields, expected in zip(who, answers, strict=True):
        before = served.mirror.stored("web1")
        name = {"a taken name": taken, "a bad name": "notes.txt", "the folder": ""}.get(what, new_name())
        sent = fields | {"Depth": "1"} | {"Destination": f"{served.mirror.url}/web1/{new_name()}"}
        body = b"other bytes" if method == "PUT" else None
        answer = served.mirror.ask(method, f"/web1/{name}", body, sent)
        assert answer.status == expected
        after = served.mirror.stored("web1")
        if expected == 201:
            assert after.pop(name) == b"other bytes"
        assert after == before
        if expected == 405:
            assert answer.fields["allow"] == "OPTIONS, PROPFIND, PUT"
        if method == "PROPFIND" and expected == 207:
            assert f"/web1/{taken}".encode() in answer.body


NOWHERE = ["/", "/web1/../web2/", "/web1/%2e%2e/web2/x", "/web1/.htpasswd", "/web3/", "/web1/a/b", "//"]
# To a regular expression, the end is before a last line end, too.
NOWHERE += ["/web1/duplicity-full.20260102T030405Z.manifest.p7m%0a", "/web1/%0a"]


@pytest.mark.parametrize("path", NOWHERE)
def test_nowhere_else(served: Classic, path: str) -> None:
    assert served.mirror.ask("PUT", path, b"x", served.fields()).status in (403, 400)


def test_no_name_of_a_host_is_special(served: Classic) -> None:
    """For nginx, `0` is false, and `default` a word of its own."""
    for host in ("0", "default"):
        for folder, status in (("web1", 403), ("web2", 403), (host, 201)):
            path = f"/{folder}/{new_name()}"
            assert served.mirror.ask("PUT", path, b"x", served.fields(host)).status == status


def test_a_cut_body_leaves_nothing(served: Classic) -> None:
    before = served.mirror.stored("web1")
    head = "".join(f"{name}: {value}\r\n" for name, value in served.fields().items())
    with served.mirror.connect() as sock:
        request = f"PUT /web1/{new_name()} HTTP/1.1\r\nHost: x\r\nContent-Length: 9999\r\n{head}\r\n"
        sock.sendall(request.encode() + b"x" * 5000)
        sock.shutdown(socket.SHUT_RDWR)
    assert served.mirror.stored("web1") == before


def test_limits(served: Classic) -> None:
    """The longest file, and where a host may come from, also one whose name is a word of nginx's."""
    answer = served.mirror.ask("PUT", f"/web1/{new_name()}", b"x" * 3_000_001, served.fields())
    assert answer.status == 413
    for host, source, status in (
        *(("web1", "127.0.0.1", 201), ("web1", "127.0.0.2", 403), ("web2", "127.0.0.2", 201)),
        *(("default", "127.0.0.1", 201), ("default", "127.0.0.2", 403)),
    ):
        connection = http.client.HTTPSConnection(
            *(served.mirror.address, served.mirror.port),
            context=served.mirror.tls_context(),
            source_address=(source, 0),
        )
        connection.request("PUT", f"/{host}/{new_name()}", b"x", served.fields(host))
        assert reply(connection.getresponse()).status == status, (host, source)
        connection.close()


def test_enrolled_and_revoked_without_restart(served: Classic, tmp_path: Path) -> None:
    served.mirror.enroll("web4", tmp_path / "web4.toml")
    fields = served.mirror.credentials(tmp_path / "web4.toml")
    for status in (201, 401):
        assert served.mirror.ask("PUT", f"/web4/{new_name()}", b"x", fields).status == status
        if status == 201:
            run("revoke", "web4", "--config", served.mirror.config)


def test_path_in_the_url(recipient: Path) -> None:
    """Names are below it, also in listings, and no others are let in."""
    with folder_for_nginx() as folder:
        mirror = Mirror(folder, "one", [recipient], tls=False, url_path="/drops")
        mirror.enroll("web1", folder / "web1.toml")
        fields, name = mirror.credentials(folder / "web1.toml"), new_name()
        with classic(folder, mirror):
            for path, status in ((f"/web1/{name}", 403), (f"/drops/web1/{name}", 201)):
                assert mirror.ask("PUT", path, STORED, fields).status == status
            assert mirror.ask("PUT", f"/drops/web1/{name}", b"other", fields).status == 409
            assert mirror.stored("web1") == {name: STORED}
            listing = mirror.ask("PROPFIND", "/drops/web1/", None, fields | {"Depth": "1"})
            assert f"/drops/web1/{name}<".encode() in listing.body


def test_backups_by_way_of_nginx(admin_key: Key) -> None:
    """Our own client, to nginx and to the door: both hold the same, and the check finds both well."""
    with folder_for_nginx() as folder:
        house = House(folder, admin_key)
        (house.source / "file").write_text("first")
        with classic(folder, house.mirrors[0]):
            house.mirrors[1].start()
            try:
                house.backup()
                (house.source / "more").write_text("second")
                house.backup()
                for mirror in house.mirrors:
                    run("check", "--config", mirror.config, "--no-page")
                assert house.names(0) == house.names(1)
                assert (house.restore(folder / "restored") / "more").read_text() == "second"
            finally:
                house.close()


def test_the_pattern_is_the_same() -> None:
    """nginx goes by the form alone: it takes what the door takes, and dates that are none."""
    for name in (
        *("duplicity-full.20260102T030405Z.vol1.difftar.p7m", "zroot-inc.20260102T030405Z.zfs.p7m"),
        *("duplicity-new-signatures.20260102T030405Z.to.20260103T030405Z.sigtar.p7m", "a"),
        *("conf-full.20260102T030405Z.vol01.tar.p7m", "conf-full.20260102T030405Z.receipt.json.p7s"),
        *(
            "mtd-full.20260102T030405Z." + "x" * 170 + ".p7m",
            "mtd-full.20260102T030405Z." + "x" * 171 + ".p7m",
        ),
    ):
        matches = subprocess.run(["grep", "-Pqx", "--", NAME_PATTERN], input=name, text=True, check=False)
        assert (matches.returncode == 0) == (parse_name(name) is not None), name


@pytest.fixture(scope="module")
def proxied(recipient: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Mirror, Path]]:
    """A door behind nginx, which speaks TLS: the mirror's `port` and `certificate` are nginx's."""
    with folder_for_nginx() as folder:
        mirror = Mirror(folder, "one", [recipient], tls=False)
        # The certificate that a mirror of its own makes for that address will do for nginx.
        other = Mirror(folder, "other", [recipient])
        other.enroll("web1", folder / "other.toml")
        port, door = free_port(), mirror.port
        text = mirror.config.read_text().replace(mirror.url, f"https://127.0.0.1:{port}")
        mirror.config.write_text(f'proxies = ["127.0.0.1"]\n{text}')
        certificate = ["--certificate", other.certificate, "--key", other.state / "tls.key"]
        site = folder / "site.conf"
        run("nginx-config", "--proxy", *certificate, "--config", mirror.config, "-o", site)
        # nginx listens on every address, IPv6 too, as it would for the world.
        assert f"listen [::]:{port} ssl ipv6only=off;" in site.read_text()
        assert f"proxy_pass http://127.0.0.1:{door};" in site.read_text()
        with mirror.start(), nginx(folder, site, "127.0.0.1", port):
            mirror.enroll("web1", folder / "web1.toml", "--network", "127.0.0.1")
            mirror.port, mirror.tls, mirror.url = port, True, f"https://127.0.0.1:{port}"
            shutil.copy(other.certificate, mirror.certificate)
            yield mirror, folder / "web1.toml"


def test_the_door_keeps_its_promises_behind_nginx(proxied: tuple[Mirror, Path]) -> None:
    mirror, bundle = proxied
    fields, name = mirror.credentials(bundle), new_name()
    for body, status in ((STORED, 201), (STORED, 204), (b"other", 409)):
        assert mirror.ask("PUT", f"/web1/{name}", body, fields).status == status
    assert mirror.stored("web1")[name] == STORED
    for method, status in (("GET", 405), ("DELETE", 405), ("PROPFIND", 207), ("OPTIONS", 200)):
        assert mirror.ask(method, "/web1/", None, fields | {"Depth": "1"}).status == status
    assert mirror.ask("PUT", f"/web1/{name}", STORED, {}).status == 401
    assert mirror.ask("PUT", "/web1/%2e%2e/x", STORED, fields).status in (400, 403)


def test_a_refusal_comes_through_before_the_whole_body(proxied: tuple[Mirror, Path]) -> None:
    mirror, bundle = proxied
    for fields, name, status in (
        (basic("web1", "wrong"), new_name(), 401),
        (mirror.credentials(bundle), "notes.txt", 403),
    ):
        assert mirror.ask("PUT", f"/web1/{name}", b"x" * 20_000_000, fields).status == status


def test_a_cut_body_leaves_nothing_behind_nginx(proxied: tuple[Mirror, Path]) -> None:
    mirror, bundle = proxied
    before, name = mirror.stored("web1"), new_name()
    head = "".join(f"{field}: {value}\r\n" for field, value in mirror.credentials(bundle).items())
    with mirror.connect() as sock:
        request = f"PUT /web1/{name} HTTP/1.1\r\nHost: x\r\nContent-Length: 9999\r\n{head}\r\n"
        sock.sendall(request.encode() + b"x" * 5000)
        wait_until(lambda: mirror.uploads() == 1, "the door has begun to write")
        sock.shutdown(socket.SHUT_RDWR)
    wait_until(lambda: name in mirror.log.read_text(), "the cut PUT is in the log")
    assert mirror.ask("OPTIONS", "/web1/", None, mirror.credentials(bundle)).status == 200
    assert mirror.stored("web1") == before


def test_curl_sends_a_pipe_by_way_of_nginx(proxied: tuple[Mirror, Path]) -> None:
    """In chunks, which nginx passes on as they come."""
    mirror, bundle = proxied
    name, octets = new_name(), b"stream" * 500_000
    who = ["-u", f"web1:{mirror.password(bundle)}", "--cacert", mirror.certificate]
    subprocess.run(
        ["curl", "-sSf", *who, "-T", "-", f"{mirror.url}/web1/{name}"],
        input=octets,
        check=True,
        env=environment_without_proxies(),
    )
    assert mirror.stored("web1")[name] == octets


def test_addresses_are_those_of_clients(proxied: tuple[Mirror, Path]) -> None:
    """What a client says of itself does not count."""
    mirror, bundle = proxied
    for source, status in (("127.0.0.1", 201), ("127.0.0.2", 403)):
        connection = http.client.HTTPSConnection(
            *(mirror.address, mirror.port), context=mirror.tls_context(), source_address=(source, 0)
        )
        fields = mirror.credentials(bundle) | {"X-Forwarded-For": "127.0.0.1"}
        connection.request("PUT", f"/web1/{new_name()}", b"x", fields)
        assert reply(connection.getresponse()).status == status
        connection.close()
        assert mirror.log.read_text().splitlines()[-1].split()[1] == source


def test_what_cannot_be_meant(recipient: Path, tmp_path: Path) -> None:
    """Each is an error with a hint, before anything is written."""
    tls, plain = Mirror(tmp_path, "tls", [recipient]), Mirror(tmp_path, "plain", [recipient], tls=False)
    for mirror in (tls, plain):
        mirror.enroll("web1", tmp_path / f"{mirror.name}.toml")

    def error(mirror: Mirror, *arguments: str) -> str:
        return complaint(run("nginx-config", "--config", mirror.config, *arguments, expect=2))[0]

    assert "TLS itself" in error(tls, "--proxy")
    assert "does not name it" in error(plain, "--proxy")
    assert "another disk" in error(tls, "--uploads", "/proc/uploads")
    for arguments in (["--proxy", "--uploads", "/x"], ["--key", "x"], ["--proxy", "--key", "x"]):
        run("nginx-config", "--config", plain.config, *arguments, expect=2)


def test_a_folder_in_the_place_of_the_configuration_is_named_and_no_temporary_file(
    recipient: Path, tmp_path: Path
) -> None:
    mirror, folder = Mirror(tmp_path, "tls", [recipient]), tmp_path / "site"
    mirror.enroll("web1", tmp_path / "web1.toml")
    folder.mkdir()
    done = run("nginx-config", "--config", mirror.config, "-o", folder, expect=1)
    assert done.stderr == f"nightdrop: error: {folder}: Is a directory\n"
