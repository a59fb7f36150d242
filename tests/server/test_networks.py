"""Where a host may drop from, and whose word on that counts. Loopback has many addresses."""

import http.client
from collections.abc import Iterator
from pathlib import Path

import pytest

from mirrors import Mirror, Reply, basic, new_name, reply


@pytest.fixture(scope="module")
def fenced(recipient: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Mirror, Path]]:
    """web1 may come from 127.1.0.0/16 and 198.51.100.7; 127.2.0.1 is a proxy that we know."""
    folder = tmp_path_factory.mktemp("fenced")
    mirror = Mirror(folder, "fenced", [recipient], tls=False)
    mirror.config.write_text('proxies = ["127.2.0.1"]\n' + mirror.config.read_text())
    with mirror.start():
        mirror.enroll("web1", folder / "web1.toml", "--network", "127.1.0.0/16", "198.51.100.7")
        yield mirror, folder / "web1.toml"


def ask(mirror: Mirror, source: str, method: str, fields: dict[str, str]) -> Reply:
    """A request that comes from an address of loopback."""
    connection = http.client.HTTPConnection(mirror.address, mirror.port, source_address=(source, 0))
    try:
        connection.request(method, f"/web1/{new_name()}", b"x", fields)
        return reply(connection.getresponse())
    finally:
        connection.close()


CASES = [
    ("127.1.2.3", None, 201, "127.1.2.3"),
    ("127.0.0.1", None, 403, "127.0.0.1"),
    ("127.0.0.1", "198.51.100.7", 403, "127.0.0.1"),
    ("127.1.2.3", "203.0.113.9", 201, "127.1.2.3"),
    ("127.2.0.1", "198.51.100.7", 201, "198.51.100.7"),
    ("127.2.0.1", "::ffff:198.51.100.7", 201, "198.51.100.7"),
    ("127.2.0.1", "198.51.100.7, 203.0.113.9", 403, "203.0.113.9"),
    ("127.2.0.1", None, 403, "127.2.0.1"),
    ("127.2.0.1", "198.51.100.7 x", 403, "127.2.0.1"),
    ("127.2.0.1", "", 403, "127.2.0.1"),
]


@pytest.mark.parametrize(("source", "forwarded", "status", "known_as"), CASES)
def test_where_a_host_may_drop_from(
    fenced: tuple[Mirror, Path], source: str, forwarded: str | None, status: int, known_as: str
) -> None:
    mirror, bundle = fenced
    fields = mirror.credentials(bundle)
    if forwarded is not None:
        fields["X-Forwarded-For"] = forwarded
    answer = ask(mirror, source, "PUT", fields)
    assert answer.status == status
    if status == 403:
        assert answer.body == f"web1 may not drop from the address {known_as}\n".encode()
    assert mirror.log.read_text().splitlines()[-1].split()[1] == known_as


def test_it_holds_for_every_method_and_after_the_password(fenced: tuple[Mirror, Path]) -> None:
    """Whoever has no password does not learn from where one would do."""
    mirror, bundle = fenced
    for method, status in (("OPTIONS", 403), ("PROPFIND", 403), ("GET", 405)):
        assert ask(mirror, "127.0.0.1", method, mirror.credentials(bundle)).status == status
    assert ask(mirror, "127.0.0.1", "PUT", basic("web1", "wrong")).status == 401


def test_a_changed_enrolment_is_in_force_at_once(fenced: tuple[Mirror, Path]) -> None:
    """Its file can be edited: another network, or another quota, needs no new password."""
    mirror, bundle = fenced
    path = mirror.state / "hosts" / "web1.toml"
    before = path.read_text()
    path.write_text(before.replace("127.1.0.0/16", "127.3.0.0/16"))
    assert ask(mirror, "127.3.0.1", "PUT", mirror.credentials(bundle)).status == 201
    assert ask(mirror, "127.1.0.1", "PUT", mirror.credentials(bundle)).status == 403
    path.write_text(before + 'quota = "1"\n')
    assert ask(mirror, "127.1.0.1", "PUT", mirror.credentials(bundle)).status == 507
    path.write_text(before + 'quota = "lots"\n')
    assert ask(mirror, "127.1.0.1", "PUT", mirror.credentials(bundle)).status == 503
    path.write_text(before)
