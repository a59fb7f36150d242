"""What machines are told: metrics, a dead man's switch, notifications; and the timers for it."""

import http.server
import json
import os
import re
import subprocess
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from check.vaults import Mirror, Shelves
from nightdrop.errors import ExitStatus
from nightdrop_check.report_metrics import to_metrics

from house import run
from mirrors import environment_without_proxies

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


LINE = re.compile(
    r"# HELP nightdrop_[a-z_]+ .+|# TYPE nightdrop_[a-z_]+ gauge"
    r'|nightdrop_[a-z_]+(\{[a-z]+="([^"\\\n]|\\.)*"(,[a-z]+="([^"\\\n]|\\.)*")*\})? -?[0-9.]+'
)


def test_metrics(now_good: Shelves) -> None:
    now_good.configure('[check]\nmetrics = "metrics/nightdrop.prom"')
    check(now_good, expect=ExitStatus.FAILED)
    path = now_good.config.parent / "metrics" / "nightdrop.prom"
    path.parent.mkdir()
    now_good.path("volume").unlink()
    check(now_good, expect=ExitStatus.FINDINGS)
    lines = path.read_text().splitlines()
    assert all(LINE.fullmatch(line) for line in lines)
    assert 'nightdrop_finding{host="web",code="incomplete",severity="error"} 1' in lines
    assert 'nightdrop_host_well{host="web"} 0' in lines
    assert path.stat().st_mode & 0o777 == 0o644
    assert os.listdir(path.parent) == [path.name]


def test_metrics_of_odd_names(now_good: Shelves) -> None:
    (now_good.mirror.vault / 'x"} 1\nnightdrop_host_well{host="web').mkdir()
    for line in to_metrics(now_good.check()).splitlines():
        assert LINE.fullmatch(line), line


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
    (tmp_path / "apprise.conf").write_text(f"json://{listener.url}/hook\n")
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
