"""A look that hangs is given up, whatever it hangs in; what it had said by then is kept."""

import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from nightdrop.bounded import bounded
from nightdrop.enrolment import BundleMirror
from nightdrop.errors import NightdropError
from nightdrop.examining import Line
from nightdrop_client.visiting import visit


def test_lines_come_as_they_are() -> None:
    lines = [Line("ok", "one", "is \x1b[31mödd\n"), Line("warn", "two", "x" * 200_000, "hint")]
    assert list(bounded("all", lambda: lines)) == lines


def test_a_pipe_in_the_place_of_a_file_is_given_up(tmp_path: Path) -> None:
    pipe = tmp_path / "host.toml"
    os.mkfifo(pipe)

    def look() -> Iterator[Line]:
        yield Line("ok", "first", "well")
        pipe.read_bytes()

    first, given_up = bounded("hosts", look, seconds=1)
    assert first == Line("ok", "first", "well")
    assert (given_up.verdict, given_up.what) == ("fail", "hosts")
    assert given_up.text == "did not end within 1.0 s, and was given up"


@contextmanager
def dribbler() -> Iterator[int]:
    """A server whose answers begin well, go on octet by octet, and never end; its port."""
    stop = threading.Event()

    def dribble(sock: socket.socket) -> None:
        with sock, suppress(OSError):
            sock.sendall(b"HTTP/1.1 200 OK\r\nX: ")
            while not stop.wait(0.05):
                sock.sendall(b"x\r\nX: ")

    def serve(listening: socket.socket) -> None:
        with suppress(OSError):
            while True:
                threading.Thread(target=dribble, args=(listening.accept()[0],), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listening:
        threading.Thread(target=serve, args=(listening,), daemon=True).start()
        yield listening.getsockname()[1]
        stop.set()


def test_a_mirror_that_answers_without_end_is_given_up() -> None:
    """No timeout of a socket ends that: each octet is in time."""
    with dribbler() as port:
        mirror = BundleMirror("mirror-a", f"http://127.0.0.1:{port}", "web1", "password", "")
        [line] = bounded("mirror mirror-a", lambda: visit("web1", mirror), seconds=1)
    assert (line.verdict, line.what) == ("fail", "mirror mirror-a")
    assert "was given up" in line.text


def fails(error: BaseException) -> Iterator[Line]:
    yield Line("ok", "first", "well")
    raise error


@pytest.mark.parametrize(
    ("error", "text", "hint"),
    [
        (NightdropError("it is broken", "mend it"), "it is broken", "mend it"),
        (
            PermissionError(13, "Permission denied", "/x"),
            "cannot be looked at: /x: Permission denied",
            "",
        ),
        (ZeroDivisionError("by zero"), "a fault of ours: ZeroDivisionError: by zero", ""),
    ],
)
def test_a_look_that_fails_is_a_line(error: BaseException, text: str, hint: str) -> None:
    first, last = bounded("that", lambda: fails(error))
    assert first == Line("ok", "first", "well")
    assert last == Line("fail", "that", text, hint)
