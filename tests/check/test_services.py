"""What services elsewhere are told: a dead man's switch of each look, notifications of what is new."""

import http.server
import json
import os
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from check.vaults import Shelves
from nightdrop.errors import ExitStatus

from house import run
from mirrors import environment_without_proxies


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


@pytest.fixture(autouse=True)
def _no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in set(os.environ) - set(environment_without_proxies()):
        monkeypatch.delenv(name)


def check(shelves: Shelves, *words: str, expect: int = 0) -> subprocess.CompletedProcess[str]:
    return run("check", "--config", shelves.config, "--no-page", *words, expect=expect)


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
