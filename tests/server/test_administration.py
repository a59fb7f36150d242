"""The administrator's listener: it gives everything out to one password, and takes nothing in."""

import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from nightdrop.mirror import load_mirror

from house import complaint, run
from mirrors import (
    Mirror,
    Reply,
    basic,
    environment_without_proxies,
    new_name,
    reply,
    repr_digest,
)
from ports import free_port

STORED = b"0123456789" * 100_000
NAME = "duplicity-full.20260102T030405Z.manifest.p7m"
ALLOWED = "GET, HEAD, OPTIONS, PROPFIND"


@dataclass(frozen=True)
class Administered:
    """A mirror with an administrator's listener, on which web1 has dropped a file."""

    mirror: Mirror
    bundle: Path
    passwords: dict[str, str]
    port: int

    def fields(self, user: str = "admin") -> dict[str, str]:
        return basic(user, self.passwords[user])

    def ask(
        self, method: str, path: str, fields: dict[str, str] | None = None, body: bytes | None = None
    ) -> Reply:
        """A request to the administrator's listener, by the administrator if nobody else is named."""
        connection = self.mirror.connection()
        connection.port = self.port
        try:
            connection.request(method, path, body, self.fields() if fields is None else fields)
            return reply(connection.getresponse())
        finally:
            connection.close()


@pytest.fixture(scope="module")
def administered(recipient: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Administered]:
    folder = tmp_path_factory.mktemp("administered")
    mirror = Mirror(folder, "one", [recipient], tls=False, address="::1")
    port = free_port("::1")
    with mirror.config.open("a") as file:
        file.write(f'[administration]\nlisten = "[::1]:{port}"\n')
    passwords = {
        "admin": run("admin-password", "--config", mirror.config).stdout.strip(),
        "metrics": run("admin-password", "--metrics", "--config", mirror.config).stdout.strip(),
    }
    with mirror.start():
        bundle = folder / "web1.toml"
        mirror.enroll("web1", bundle)
        fields = mirror.credentials(bundle)
        assert mirror.ask("PUT", f"/web1/{NAME}", STORED, fields).status == 201
        yield Administered(mirror, bundle, passwords, port)
        assert "trouble" not in mirror.log.read_text()


# What is asked for                 | answer to: admin, metrics, a host, a wrong password, nobody
POLICY: list[tuple[str, str, int, int, int, int, int]] = [
    ("GET", f"/web1/{NAME}", 200, 403, 401, 401, 401),
    ("HEAD", f"/web1/{NAME}", 200, 403, 401, 401, 401),
    ("GET", "/web1/", 200, 403, 401, 401, 401),
    ("GET", "/web1", 200, 403, 401, 401, 401),
    ("GET", "/", 200, 403, 401, 401, 401),
    ("GET", "/web1/duplicity-full.20270102T030405Z.manifest.p7m", 404, 403, 401, 401, 401),
    ("GET", "/web2/", 404, 403, 401, 401, 401),
    ("GET", "/web1/../../state/htpasswd", 403, 403, 401, 401, 401),
    ("GET", "/../state/tls.key", 403, 403, 401, 401, 401),
    ("GET", "/metrics", 200, 200, 401, 401, 401),
    ("HEAD", "/metrics", 200, 200, 401, 401, 401),
    ("PROPFIND", "/metrics", 404, 403, 401, 401, 401),
    ("PROPFIND", "/", 207, 403, 401, 401, 401),
    ("PROPFIND", "/web1/", 207, 403, 401, 401, 401),
    ("PROPFIND", f"/web1/{NAME}", 207, 403, 401, 401, 401),
    ("OPTIONS", "/", 200, 403, 401, 401, 401),
    ("OPTIONS", "/web1/", 200, 403, 401, 401, 401),
    ("PUT", "/web1/duplicity-full.20270102T030405Z.manifest.p7m", 405, 405, 405, 405, 405),
    ("DELETE", f"/web1/{NAME}", 405, 405, 405, 405, 405),
    ("MOVE", f"/web1/{NAME}", 405, 405, 405, 405, 405),
    ("POST", "/metrics", 405, 405, 405, 405, 405),
]


@pytest.mark.parametrize("row", POLICY, ids=[f"{row[0]} {row[1]}" for row in POLICY])
def test_policy(administered: Administered, row: tuple[str, str, int, int, int, int, int]) -> None:
    method, path, *answers = row
    who = [
        *(administered.fields("admin"), administered.fields("metrics")),
        *(administered.mirror.credentials(administered.bundle), basic("admin", "wrong"), {}),
    ]
    for fields, expected in zip(who, answers, strict=True):
        sent = fields | ({"Depth": "1"} if method == "PROPFIND" else {})
        answer = administered.ask(method, path, sent, b"x" if method == "PUT" else None)
        assert answer.status == expected
        if expected == 405 or (method == "OPTIONS" and expected == 200):
            assert answer.fields["allow"] == ALLOWED
    assert administered.mirror.stored("web1") == {NAME: STORED}


def test_the_door_knows_no_administrator(administered: Administered) -> None:
    for user in ("admin", "metrics"):
        for method in ("PUT", "PROPFIND", "OPTIONS"):
            path = f"/{user}/{new_name()}"
            answer = administered.mirror.ask(method, path, b"x", administered.fields(user))
            assert answer.status == 401
        assert administered.mirror.ask("GET", "/metrics", None, administered.fields(user)).status == 405


def test_a_file_comes_as_it_was_dropped(administered: Administered) -> None:
    answer = administered.ask("GET", f"/web1/{NAME}")
    assert answer.body == STORED
    assert answer.fields["repr-digest"] == repr_digest(STORED)
    assert answer.fields["x-content-type-options"] == "nosniff"
    head = administered.ask("HEAD", f"/web1/{NAME}")
    assert (head.body, head.fields["content-length"]) == (b"", str(len(STORED)))


@pytest.mark.parametrize(
    ("wanted", "first", "length"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=5-9", 5, 5),
        ("bytes=999990-", 999_990, 10),
        ("bytes=999990-5000000", 999_990, 10),
        ("bytes=-7", 999_993, 7),
        ("bytes=-5000000", 0, 1_000_000),
    ],
)
def test_a_part_of_a_file(administered: Administered, wanted: str, first: int, length: int) -> None:
    answer = administered.ask("GET", f"/web1/{NAME}", administered.fields() | {"Range": wanted})
    assert (answer.status, answer.body) == (206, STORED[first : first + length])
    assert answer.fields["content-range"] == f"bytes {first}-{first + length - 1}/1000000"


@pytest.mark.parametrize("wanted", ["bytes=1000000-", "bytes=-0", "bytes=2000000-3000000"])
def test_no_such_part(administered: Administered, wanted: str) -> None:
    answer = administered.ask("GET", f"/web1/{NAME}", administered.fields() | {"Range": wanted})
    assert (answer.status, answer.fields["content-range"]) == (416, "bytes */1000000")


@pytest.mark.parametrize("wanted", ["bytes=5-2", "bytes=0-1,3-4", "lines=1-2", "bytes=x", "bytes=-"])
def test_what_is_no_range_is_ignored(administered: Administered, wanted: str) -> None:
    answer = administered.ask("GET", f"/web1/{NAME}", administered.fields() | {"Range": wanted})
    assert (answer.status, len(answer.body)) == (200, len(STORED))


def test_a_part_only_of_the_same_file(administered: Administered) -> None:
    etag = administered.ask("HEAD", f"/web1/{NAME}").fields["etag"]
    for validator, status in ((etag, 206), ('"other"', 200)):
        fields = administered.fields() | {"Range": "bytes=0-0", "If-Range": validator}
        assert administered.ask("GET", f"/web1/{NAME}", fields).status == status


def test_curl_goes_on_where_it_stopped(administered: Administered, tmp_path: Path) -> None:
    """And reads a listing, and the next file on the same connection."""
    half = tmp_path / "half"
    half.write_bytes(STORED[:333_333])
    url = f"http://[::1]:{administered.port}"
    credentials = f"admin:{administered.passwords['admin']}"
    command = ["curl", "-gsSfu", credentials, "-C", "-", "-o", half, f"{url}/web1/{NAME}"]
    subprocess.run(command, check=True, env=environment_without_proxies())
    assert half.read_bytes() == STORED
    two = [f"{url}/web1/", f"{url}/"]
    done = subprocess.run(
        ["curl", "-gsSfu", credentials, "-w", "%{num_connects}", *two],
        check=True,
        capture_output=True,
        text=True,
        env=environment_without_proxies(),
    )
    assert done.stdout == f"{NAME}\n1web1/\n0"


def test_listing_of_everything(administered: Administered) -> None:
    depth = administered.fields() | {"Depth": "1"}
    assert b"<D:href>/web1/</D:href>" in administered.ask("PROPFIND", "/", depth).body
    assert f"/web1/{NAME}<".encode() in administered.ask("PROPFIND", "/web1/", depth).body
    assert administered.ask("PROPFIND", "/").status == 403


def test_links_and_devices_in_the_vault_are_not_followed(administered: Administered) -> None:
    """Whoever roots a mirror could put them there."""
    name = "duplicity-full.20280102T030405Z.manifest.p7m"
    link = administered.mirror.vault / "web1" / name
    link.symlink_to("/etc/passwd")
    try:
        assert administered.ask("GET", f"/web1/{name}").status == 404
    finally:
        link.unlink()


def test_its_users_are_no_hosts_in_the_log(administered: Administered) -> None:
    administered.ask("GET", "/web1/")
    assert " @admin GET /web1/ 200 " in administered.mirror.log.read_text().splitlines()[-1]


def test_a_new_password_is_in_force_at_once(administered: Administered, tmp_path: Path) -> None:
    config = administered.mirror.config
    old = administered.fields("metrics")
    run("admin-password", "--metrics", "--config", config, "-o", tmp_path / "password")
    assert (tmp_path / "password").stat().st_mode & 0o777 == 0o600
    new = (tmp_path / "password").read_text().strip()
    assert administered.ask("GET", "/metrics", old).status == 401
    assert administered.ask("GET", "/metrics", basic("metrics", new)).status == 200
    assert administered.ask("GET", "/web1/").status == 200, "the other's password stays"
    administered.passwords["metrics"] = new


@pytest.mark.parametrize(
    "listen", ["[::]:8444", "0.0.0.0:8444", "1.1.1.1:8444", "localhost:8444", "8444"]
)
def test_not_where_strangers_could_ask(recipient: Path, tmp_path: Path, listen: str) -> None:
    mirror = Mirror(tmp_path, "one", [recipient])
    with mirror.config.open("a") as file:
        file.write(f'[administration]\nlisten = "{listen}"\n')
    error, _ = complaint(run("serve", "--config", mirror.config, expect=2))
    assert "key `administration.listen`" in error


def test_tls_but_on_loopback(recipient: Path, tmp_path: Path) -> None:
    """A private address is on a network, and the certificate is for that address, too."""
    mirror = Mirror(tmp_path, "one", [recipient], tls=False)
    text = mirror.config.read_text()
    mirror.config.write_text(f'{text}[administration]\nlisten = "127.0.0.1:0"\n')
    assert not load_mirror(mirror.config).administration_tls
    mirror.config.write_text(f'{text}[administration]\nlisten = "10.1.2.3:8444"\n')
    assert load_mirror(mirror.config).administration_tls
    mirror.enroll("web1", tmp_path / "web1.toml")
    shown = ["openssl", "x509", "-in", mirror.certificate, "-noout", "-checkip", "10.1.2.3"]
    assert b"does match" in subprocess.run(shown, check=True, capture_output=True).stdout
