"""The log of a door that somebody floods: it stays short, and tells of the others all the same."""

import re
import socket
from http import HTTPStatus
from pathlib import Path

import pytest

from nightdrop_server import log
from nightdrop_server.log import MOST, Access

from mirrors import Mirror, new_name, wait_until


def test_a_host_that_floods_the_door_does_not_fill_the_log(recipient: Path, tmp_path: Path) -> None:
    """Requests that are refused cost a host nothing. What others do, and what is kept, stands there."""
    mirror = Mirror(tmp_path, "flooded", [recipient], tls=False)
    for host in ("bad", "good"):
        mirror.enroll(host, tmp_path / f"{host}.toml")
    with mirror.start():
        [credentials] = mirror.credentials(tmp_path / "bad.toml").values()
        for number in range(5):
            flood(mirror, f"PUT /bad/{number} HTTP/1.1\r\nHost: x\r\nAuthorization: {credentials}\r\n")
            flood(mirror, "OPTIONS / HTTP/1.1\r\nHost: x\r\n")
            for host in ("bad", "good"):
                fields = mirror.credentials(tmp_path / f"{host}.toml")
                name = new_name()
                assert mirror.ask("PUT", f"/{host}/{name}", b"x", fields).status == 201
                wait_until(lambda: f"/{host}/{name} 201" in mirror.log.read_text(), "it is logged")  # noqa: B023
    lines = mirror.log.read_text().splitlines()
    # In as many minutes as this takes.
    minutes = {line[:16] for line in lines}
    for owner in ("bad", "-"):
        assert sum(f" {owner} " in line for line in lines) <= len(minutes) * (MOST + 10)


def flood(mirror: Mirror, head: str) -> None:
    """A thousand requests on one connection, and all of their answers."""
    with mirror.connect() as sock:
        request = f"{head}Content-Length: 0\r\n\r\n".encode()
        sock.sendall(request * 999 + request.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
        sock.shutdown(socket.SHUT_WR)
        while sock.recv(65536):
            pass


def test_what_is_left_out_is_told_when_its_minute_is_over(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now = [6000.0]
    monkeypatch.setattr("time.time", lambda: now[0])

    def refused(host: str) -> None:
        log.access(Access("192.0.2.1", host, "PUT", "/x", HTTPStatus.FORBIDDEN, 0, 0.0, "no"))

    for _ in range(MOST + 7):
        refused("bad")
        log.trouble("the disk is on fire")
    refused("good")
    now[0] += 60
    refused("bad")
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2 * MOST + 1 + 2 + 1
    assert [re.sub("^[^ ]* ", "", line) for line in lines[-3:]] == [
        "left out: 7 lines of requests of bad in one minute",
        "left out: 7 lines of troubles in one minute",
        "192.0.2.1 bad PUT /x 403 0 0.000 (no)",
    ]
