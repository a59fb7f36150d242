"""What machines are told: metrics, a dead man's switch, notifications; and the timers for it."""

import http.server
import json
import os
import re
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import requests

from check.vaults import Mirror, Shelves
from nightdrop.errors import ExitStatus
from nightdrop_check.reports.as_json import to_json
from nightdrop_check.reports.as_metrics import to_metrics
from nightdrop_check.reports.as_page import to_page
from nightdrop_check.reports.as_text import to_text
from nightdrop_check.room import Room, full_at

from house import HOST, House, run
from mirrors import environment_without_proxies
from ports import free_port
from prometheus import parse

ROOT = Path(__file__).parents[2]
UNITS = sorted((ROOT / "check" / "nightdrop_check" / "systemd").iterdir())


class Listener(http.server.ThreadingHTTPServer):
    """Takes note of every POST."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.posts: list[tuple[str, bytes]] = []
        self.answer = 200

    @property
    def url(self) -> str:
        return f"127.0.0.1:{self.server_address[1]}"


class _Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        assert isinstance(self.server, Listener)
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.posts.append((self.path, body))
        self.send_response(self.server.answer)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002
        pass


@pytest.fixture
def listener() -> Iterator[Listener]:
    server = Listener()
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def now_good(mirror: Mirror, monkeypatch: pytest.MonkeyPatch) -> Shelves:
    """A mirror whose one host dropped a full just now, by the clock on the wall."""
    for name in set(os.environ) - set(environment_without_proxies()):
        monkeypatch.delenv(name)
    mirror.enroll("web")
    mirror.full("web", datetime.now(UTC) - timedelta(hours=1))
    return Shelves(mirror.config, "web", datetime.now(UTC).timestamp())


def check(shelves: Shelves, *words: str, expect: int = 0) -> subprocess.CompletedProcess[str]:
    return run("check", "--config", shelves.config, "--no-page", *words, expect=expect)


def sample(name: str, **labels: str) -> tuple[str, frozenset[tuple[str, str]]]:
    return f"nightdrop_{name}", frozenset(labels.items())


def test_metrics(now_good: Shelves) -> None:
    now_good.configure('[check]\nmetrics = "metrics/nightdrop.prom"')
    done = check(now_good, expect=ExitStatus.FINDINGS)
    said = " ".join(done.stdout.split())  # its lines are broken where the path's length has them broken
    assert "could-not-look" in said and "there is no folder" in said
    path = now_good.config.parent / "metrics" / "nightdrop.prom"
    path.parent.mkdir()
    now_good.path("volume").unlink()
    check(now_good, expect=ExitStatus.FINDINGS)
    found, types = parse(path.read_text())
    assert set(types.values()) == {"gauge"}
    assert found[sample("finding", host="web", code="incomplete", severity="error")] == 1
    assert found[sample("host_well", host="web")] == 0
    assert found[sample("host_newest_set_timestamp_seconds", host="web")] < now_good.now
    assert path.stat().st_mode & 0o777 == 0o644
    assert os.listdir(path.parent) == [path.name]


def test_a_disk_that_lasts_for_thousands_of_years(now_good: Shelves) -> None:
    """It may shrink by a few octets a day, and no calendar goes so far."""
    now, day = now_good.now, 86400.0
    assert full_at(10**9, 10**8, now) == now + 10 * day
    for free, per_day in ((10**12, 68.0), (10**15, 1e-9), (10**9, 0.0), (10**9, -5.0), (0, 1.0)):
        room = Room(10**12, free, per_day, full_at(free, per_day, now))
        report = replace(now_good.check(), room=room)
        assert json.loads(to_json(report))["room"]["full_at"] is None
        assert "nightdrop_disk_full" not in to_metrics(report)
        assert "full in about" not in to_page(report) + to_text(report)


def test_metrics_of_odd_names(now_good: Shelves) -> None:
    (now_good.mirror.vault / 'x"} 1\nnightdrop_host_well{host="web').mkdir()
    found, _ = parse(to_metrics(now_good.check()))
    assert found[sample("host_well", host="web")] == 1
    told = [dict(labels) for name, labels in found if name == "nightdrop_finding"]
    assert [labels["code"] for labels in told] == ["unknown-host"]


def test_metrics_on_the_administrators_listener(house: House) -> None:
    """The door's numbers and the check's stand there together, and no name twice."""
    mirror = house.mirrors[0]
    port = free_port()
    with mirror.config.open("a") as file:
        file.write(f'[administration]\nlisten = "127.0.0.1:{port}"\n')
    password = run("admin-password", "--metrics", "--config", mirror.config).stdout.strip()
    mirror.stop()
    mirror.spawn()
    mirror.wait_until_ready()
    run("check", "--config", mirror.config, "--no-page", expect=ExitStatus.DONE)
    auth = ("metrics", password)
    text = requests.get(f"http://127.0.0.1:{port}/metrics", auth=auth, timeout=30).text
    found, _ = parse(text)
    assert found[sample("host_well", host=HOST)] == 1
    assert found[sample("host_enrolled", host=HOST)] == 1


def test_dead_mans_switch(now_good: Shelves, listener: Listener) -> None:
    now_good.configure(f'[check]\nping = "http://{listener.url}/secret/"')
    check(now_good)
    assert listener.posts == []
    check(now_good, "--daily")
    headline = b"backup.example.org: 1 of 1 host well"
    assert listener.posts == [("/secret/start", b""), ("/secret", headline)]
    now_good.path("volume").unlink()
    check(now_good, "--daily", expect=ExitStatus.FINDINGS)
    assert listener.posts[-1][0] == "/secret/fail"


@pytest.mark.parametrize("answer", [404, 500])
def test_dead_mans_switch_that_does_not_answer(
    now_good: Shelves, listener: Listener, answer: int
) -> None:
    listener.answer = answer
    now_good.configure(f'[check]\nping = "http://{listener.url}/secret"')
    done = check(now_good, "--daily", expect=ExitStatus.PARTIAL)
    assert f"cannot ping 127.0.0.1: it answers {answer}" in done.stderr
    assert "secret" not in done.stderr


def test_notifications(now_good: Shelves, listener: Listener, tmp_path: Path) -> None:
    # By itself, apprise waits four seconds for an answer: a busy machine may take longer.
    (tmp_path / "apprise.conf").write_text(f"json://{listener.url}/hook?cto=60&rto=60\n")
    now_good.configure(f'[check]\nnotify = "{tmp_path / "apprise.conf"}"')
    check(now_good, "--daily")
    assert listener.posts == []
    now_good.path("volume").unlink()
    listener.answer = 500
    done = check(now_good, "--daily", expect=ExitStatus.FINDINGS)
    assert "nightdrop: warning: cannot notify: apprise ends with 1" in done.stderr
    listener.answer = 200
    listener.posts.clear()
    check(now_good, "--daily", expect=ExitStatus.FINDINGS)
    check(now_good, "--daily", expect=ExitStatus.FINDINGS)
    [(path, body)] = listener.posts
    assert path == "/hook"
    facts = json.loads(body)
    assert facts["title"] == "[nightdrop] backup.example.org: 0 of 1 host well, web incomplete"
    assert facts["message"].startswith("New:")


@pytest.mark.parametrize("unit", UNITS, ids=lambda path: path.name)
def test_units_are_what_systemd_reads(unit: Path, tmp_path: Path) -> None:
    for each in UNITS:
        # The program is not where it will be.
        text = each.read_text().replace("/opt/nightdrop/.venv/bin/nightdrop", "/bin/true")
        (tmp_path / each.name).write_text(text)
    done = subprocess.run(
        ["systemd-analyze", "verify", tmp_path / unit.name], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("unit", [u for u in UNITS if u.suffix == ".service"], ids=lambda p: p.name)
def test_units_run_commands_that_there_are(unit: Path, mirror: Mirror) -> None:
    (command,) = re.findall(r"^ExecStart=\S+ (.*)$", unit.read_text(), re.MULTILINE)
    words = command.replace("/etc/nightdrop/mirror.toml", str(mirror.config)).split()
    mirror.config.write_text(
        f'{mirror.config.read_text()}[check.mail]\nto = ["a@b.org"]\nsendmail = "/bin/true"\n'
    )
    run(*words)
    assert (unit.with_suffix(".timer")).exists()
