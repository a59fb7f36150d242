"""Ctrl-C at any moment: one line, status 130, and nothing is left but the terminal as it was."""

import array
import fcntl
import os
import signal
import subprocess
import termios
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from restore.forging import seal
from restore.stalling import stalling

from house import HOST, House, Key
from mirrors import NIGHTDROP, PATIENCE, wait_until
from terminals import Terminal

INTERRUPTED = "nightdrop: error: interrupted"


def assert_interrupted(terminal: Terminal) -> None:
    """It ended as it should: with its one line, which stands alone, and leaves nobody behind."""
    assert terminal.end() == 128 + signal.SIGINT, terminal.said
    assert "Traceback" not in terminal.said
    lines = [line.rpartition("\x1b[K")[2] for line in terminal.said.splitlines()]
    assert lines.count(INTERRUPTED) == 1, terminal.said
    assert lines[-1] == INTERRUPTED, terminal.said
    assert not terminal.hides()
    wait_until(terminal.alone, "all that it started is gone")


@contextmanager
def stalled(chain: House, part: str, *words: object) -> Iterator[Terminal]:
    """A verb that reads the first vault, and waits for the second half of the file with `part` in its
    name.
    """
    password = chain.root / "password"
    password.write_text("x\n")
    with ExitStack() as stack:
        url = stack.enter_context(stalling(chain.mirrors[0].vault, lambda name: part in name))
        verb, rest = words[:2], words[2:]
        more = ["--password-file", password, *chain.key.arguments]
        yield stack.enter_context(Terminal([*NIGHTDROP, *verb, url, *more, *rest]))


def half_written(to: Path) -> bool:
    """Whether a large file is on its way."""
    return any(path.stat().st_size > 0 for path in to.rglob(".nightdrop-*"))


def test_while_it_asks_for_a_secret(admin_key: Key, tmp_path: Path) -> None:
    for words, question in (
        (["open", "--key", admin_key.private, "/dev/null"], "passphrase of "),
        (["key", "new", tmp_path / "key", "--name", "x"], "new passphrase: "),
        (["restore", "list", "http://127.0.0.1:9"], "password of admin at "),
    ):
        with Terminal([*NIGHTDROP, *words]) as terminal:
            terminal.expect(question)
            wait_until(terminal.hides, "what is typed is not shown")
            terminal.type("secr")
            terminal.interrupt()
            assert_interrupted(terminal)
            assert "secr" not in terminal.said
    assert not (tmp_path / "key").exists()


def test_nothing_is_typed(admin_key: Key) -> None:
    with Terminal([*NIGHTDROP, "open", "--key", admin_key.private, "/dev/null"]) as terminal:
        terminal.expect("passphrase of ")
        wait_until(terminal.hides, "what is typed is not shown")
        terminal.type("\x04")
        assert terminal.end() == 2
        assert "\nnightdrop: error: nothing was typed that could be a secret" in terminal.said
        assert not terminal.hides()


def test_asked_while_the_envelope_comes_through_a_pipe(admin_key: Key, tmp_path: Path) -> None:
    seal(tmp_path / "sealed.p7m", admin_key, b"content")
    opening = f"{' '.join(NIGHTDROP)} open --key {admin_key.private} - <{tmp_path}/sealed.p7m"
    with Terminal(["sh", "-c", f"{opening} | cat"]) as terminal:
        terminal.expect("passphrase of ")
        wait_until(terminal.hides, "what is typed is not shown")
        terminal.type(admin_key.passphrase.read_text())
        assert terminal.end() == 0
        assert terminal.said.endswith("content")


def test_while_a_large_file_is_restored(chain: House, tmp_path: Path) -> None:
    """Its first pieces are on the disk, the volume with the next ones does not come."""
    to = tmp_path / "room" / "to"
    to.parent.mkdir()
    words = ["restore", "run", "--host", HOST, "--to", to]
    with stalled(chain, ".manifest.", *words) as terminal:
        # Not even the manifest comes.
        terminal.expect("restoring web1 as of ")
        terminal.interrupt()
        assert_interrupted(terminal)
    assert list(to.parent.iterdir()) == []
    with stalled(chain, ".vol3.", *words) as terminal:
        wait_until(lambda: half_written(to), "a large file is on its way")
        below = to / chain.source.relative_to("/")
        assert not (below / "b large").exists()
        assert (below / "a" / "00").exists()
        terminal.interrupt()
        assert_interrupted(terminal)
    assert not list(to.rglob(".nightdrop-*"))
    assert not (below / "b large").exists()
    assert list(to.parent.iterdir()) == [to]


@pytest.mark.parametrize("how", ["terminated", "closed"])
def test_ended_otherwise(chain: House, tmp_path: Path, how: str) -> None:
    """By SIGTERM, and by closing the terminal's window."""
    to = tmp_path / "room" / "to"
    to.parent.mkdir()
    with stalled(chain, ".vol3.", "restore", "run", "--host", HOST, "--to", to) as terminal:
        wait_until(lambda: half_written(to), "a large file is on its way")
        if how == "terminated":
            terminal.signal(signal.SIGTERM)
            assert terminal.end() == 128 + signal.SIGTERM
        else:
            terminal.close()
            assert terminal.end() == 128 + signal.SIGHUP
        wait_until(terminal.alone, "all that it started is gone")
    assert not list(to.rglob(".nightdrop-*"))
    assert list(to.parent.iterdir()) == [to]


def test_while_it_asks_whether_to_overwrite(chain: House, tmp_path: Path) -> None:
    to = tmp_path / "room" / "to"
    to.mkdir(parents=True)
    (to / "file").write_text("mine")
    words = ["restore", "run", chain.mirrors[0].vault, "--host", HOST, "--to", to]
    words += ["--path", chain.source / "folder", "--overwrite", "ask", *chain.key.arguments]
    with Terminal([*NIGHTDROP, *words]) as terminal:
        terminal.expect("n[o]ne: ")
        terminal.interrupt()
        assert_interrupted(terminal)
    assert (to / "file").read_text() == "mine"
    assert not list(to.rglob(".nightdrop-*"))
    assert list(to.parent.iterdir()) == [to]


def test_while_it_verifies(chain: House) -> None:
    with stalled(chain, ".vol2.", "restore", "verify") as terminal:
        terminal.expect(" of ")
        terminal.interrupt()
        assert_interrupted(terminal)


def test_while_it_drills(chain: House, tmp_path: Path) -> None:
    (tmp_path / "room").mkdir()
    words = ["restore", "drill", "--work", tmp_path / "room", "--record", tmp_path / "room"]
    with stalled(chain, ".vol", *words) as terminal:
        wait_until(lambda: list((tmp_path / "room").rglob("duplicity.log")) != [], "duplicity runs")
        terminal.interrupt()
        assert_interrupted(terminal)
    assert list((tmp_path / "room").iterdir()) == []


def test_while_a_stream_is_opened(chain: House, tmp_path: Path) -> None:
    folder = chain.mirrors[0].vault / "router1"
    folder.mkdir()
    for volume in (1, 2):
        name = f"disk-full.20260102T030405Z.vol{volume}.img.p7m"
        seal(folder / name, chain.key, os.urandom(3_000_000))
    out = tmp_path / "out"
    words = ["--host", "router1", "--kind", "disk", "-o", out]
    with stalled(chain, "vol2.img", "restore", "open", *words) as terminal:
        wait_until(lambda: out.is_dir() and bool(list(out.iterdir())), "it is written")
        terminal.interrupt()
        assert_interrupted(terminal)
    assert list(out.iterdir()) == []


def test_while_nobody_takes_what_is_opened(admin_key: Key, tmp_path: Path) -> None:
    """As in front of a pager."""
    seal(tmp_path / "sealed.p7m", admin_key, bytes(20_000_000))
    process = subprocess.Popen(
        [*NIGHTDROP, "open", *admin_key.arguments, str(tmp_path / "sealed.p7m")],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    wait_until(lambda: _waiting(process.stdout.fileno()) >= 65536, "the pipe is full")
    process.send_signal(signal.SIGINT)
    assert process.wait(PATIENCE) == 128 + signal.SIGINT
    assert process.stderr.read().decode() == f"{INTERRUPTED}\n"
    process.stdout.close()
    process.stderr.close()


def _waiting(pipe: int) -> int:
    found = array.array("i", [0])
    fcntl.ioctl(pipe, termios.FIONREAD, found)
    return found[0]
