"""/metrics, read with Prometheus's own parser (Debian's python3-prometheus-client)."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from nightdrop_server.metrics import Family, _family_text

from house import run
from mirrors import Mirror, basic, new_name, reply
from ports import free_port
from prometheus import Parsed, parse


class Scraped:
    """A mirror, and how Prometheus sees it."""

    def __init__(self, mirror: Mirror, port: int, bundle: Path) -> None:
        self.mirror, self.port, self.bundle = mirror, port, bundle
        self.password = run("admin-password", "--metrics", "--config", mirror.config).stdout.strip()
        self.types: dict[str, str] = {}
        self.samples: Parsed = {}

    def scrape(self) -> None:
        connection = self.mirror.connection()
        connection.port = self.port
        connection.request("GET", "/metrics", None, basic("metrics", self.password))
        answer = reply(connection.getresponse())
        connection.close()
        assert answer.status == 200
        assert answer.fields["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
        self.samples, self.types = parse(answer.body.decode())

    def value(self, name: str, **labels: str) -> float | None:
        return self.samples.get((f"nightdrop_{name}", frozenset(labels.items())))


@pytest.fixture
def scraped(recipient: Path, tmp_path: Path) -> Iterator[Scraped]:
    mirror, port = Mirror(tmp_path, 'a "quoted" \\ name', [recipient], tls=False), free_port()
    with mirror.config.open("a") as file:
        file.write(f'[administration]\nlisten = "127.0.0.1:{port}"\n')
    with mirror.start():
        mirror.enroll("web1", tmp_path / "web1.toml", "--quota", "7G")
        mirror.enroll("web2", tmp_path / "web2.toml")
        yield Scraped(mirror, port, tmp_path / "web1.toml")


def test_what_is_counted(scraped: Scraped) -> None:
    mirror, fields = scraped.mirror, scraped.mirror.credentials(scraped.bundle)
    scraped.scrape()
    assert scraped.value("refused_overwrites_total", host="web1") == 0
    assert scraped.value("requests_total", listener="door", method="PUT", status="201") is None
    name = new_name()
    for body in (b"x" * 5000, b"x" * 5000, b"y" * 5000):
        mirror.ask("PUT", f"/web1/{name}", body, fields)
    for method in ("BREW", "WHEN", "GET"):
        mirror.ask(method, "/web1/", None, fields)
    mirror.ask("OPTIONS", "/web1/")
    with mirror.connect() as sock:
        sock.sendall(b"nonsense\r\n\r\n")
        assert sock.recv(100).startswith(b"HTTP/1.1 400 ")
    scraped.scrape()

    def number(method: str, status: int) -> float | None:
        return scraped.value("requests_total", listener="door", method=method, status=str(status))

    assert [number("PUT", status) for status in (201, 204, 409)] == [1, 1, 1]
    assert [number("other", 405), number("GET", 405), number("OPTIONS", 401)] == [2, 1, 1]
    assert number("other", 400) == 1
    assert scraped.value("requests_total", listener="administration", method="GET", status="200") == 1
    assert scraped.value("refused_overwrites_total", host="web1") == 1
    assert scraped.value("refused_overwrites_total", host="web2") == 0
    received = scraped.value("received_bytes_total", listener="door")
    assert received is not None
    assert 10_000 < received < 30_000
    assert scraped.types["nightdrop_requests"] == "counter"
    assert scraped.types["nightdrop_vault_free_bytes"] == "gauge"


def test_how_hosts_and_the_disk_are(scraped: Scraped) -> None:
    mirror, fields = scraped.mirror, scraped.mirror.credentials(scraped.bundle)
    started = time.time()
    for name, size in (("vol1.difftar.p7m", 1000), ("manifest.p7m", 100), ("receipt.json", 10)):
        mirror.ask("PUT", f"/web1/duplicity-full.20260102T030405Z.{name}", b"x" * size, fields)
    scraped.scrape()
    receipt = scraped.value("host_last_receipt_timestamp_seconds", host="web1")
    assert receipt is not None
    assert started - 1 <= receipt <= time.time()
    assert scraped.value("host_last_drop_timestamp_seconds", host="web1") == receipt
    assert scraped.value("host_last_receipt_set_bytes", host="web1") == 1110
    assert [scraped.value(f"host_{n}", host="web1") for n in ("bytes", "files", "quota_bytes")] == [
        *(1110, 3, 7e9)
    ]
    assert scraped.value("host_last_receipt_timestamp_seconds", host="web2") is None
    assert (scraped.value("host_files", host="web2"), scraped.value("host_quota_bytes", host="web2")) == (
        *(0, None),
    )
    free, size = scraped.value("vault_free_bytes"), scraped.value("vault_size_bytes")
    assert free is not None
    assert size is not None
    assert 0 < free < size
    from nightdrop import __version__

    assert scraped.value("info", mirror=mirror.name, version=__version__) == 1
    run("revoke", "web2", "--config", mirror.config)
    scraped.scrape()
    assert [scraped.value("host_enrolled", host=host) for host in ("web1", "web2")] == [1, 0]


def test_a_vault_that_went_away_is_told(scraped: Scraped, tmp_path: Path) -> None:
    scraped.mirror.vault.rename(tmp_path / "elsewhere")
    scraped.scrape()
    assert scraped.value("vault_readable") == 0
    assert scraped.value("vault_free_bytes") is None
    assert "trouble: metrics: " in scraped.mirror.log.read_text()


def test_labels_with_anything_in_them() -> None:
    value = 'quote " backslash \\ line\nfeed {}=, ü'
    text = _family_text(Family("nightdrop_x", "gauge", "X.", [({"a": value, "b": ""}, 1.5)]))
    samples, _ = parse(text)
    assert samples == {("nightdrop_x", frozenset({("a", value), ("b", "")})): 1.5}
