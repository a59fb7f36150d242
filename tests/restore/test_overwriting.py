"""What is in the way of a restore, whom files belong to, and how a restore tells of itself."""

import json
import os
import pty
import stat
import tarfile
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import pytest

from nightdrop_restore.items import Item
from nightdrop_restore.noting import Notes, Restored
from nightdrop_restore.writing.writer import Policy, Writer
from restore.forging import forge, member

from house import HOST, House, Key, complaint, run
from mirrors import NIGHTDROP
from trees import describe, differences


def words(chain: House, to: Path) -> list[str]:
    known = ["restore", "run", str(chain.mirrors[0].vault), "--host", HOST, "--to", str(to)]
    return [*known, "--path", str(chain.source / "folder"), *chain.key.arguments]


@pytest.fixture
def half(chain: House, tmp_path: Path) -> Path:
    """A folder that has some of what is restored to it: another file, a link and a folder in the way."""
    to = tmp_path / "to"
    to.mkdir()
    (to / "file").write_text("mine")
    (to / "mine").write_text("mine")
    (to / "one.conf").symlink_to(tmp_path / "elsewhere")
    (to / "new.conf").mkdir()
    (tmp_path / "elsewhere").write_text("mine")
    return to


def test_never(chain: House, half: Path, tmp_path: Path) -> None:
    said = run(*words(chain, half), "--overwrite", "never", expect=3).stdout
    assert (half / "file").read_text() == "mine"
    assert (half / "one.conf").is_symlink()
    assert (tmp_path / "elsewhere").read_text() == "mine"
    assert (half / "hard link").read_text() == "two"
    below = chain.source.relative_to("/") / "folder"
    assert f"was not overwritten:\n    {below}/file\n    {below}/one.conf\n" in said
    assert f"there is a folder of its name already:\n    {below}/new.conf\n" in said


def test_always(chain: House, half: Path, tmp_path: Path) -> None:
    run(*words(chain, half), "--overwrite", "always", expect=3)
    assert (half / "file").read_text() == "two"
    assert (half / "one.conf").read_text() == "one"
    assert not (half / "one.conf").is_symlink()
    assert (tmp_path / "elsewhere").read_text() == "mine"
    assert (half / "mine").read_text() == "mine"
    assert (half / "new.conf").is_dir()


def test_ask(chain: House, half: Path) -> None:
    """On the terminal: yes to the first, no to the next."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.execv(NIGHTDROP[0], [*NIGHTDROP, *words(chain, half), "--overwrite", "ask"])
    said, answers = b"", [b"y\n", b"n\n"]
    while True:
        try:
            piece = os.read(terminal, 10_000)
        except OSError:
            break
        said += piece
        if piece and said.count(b"n[o]ne: ") > 2 - len(answers) and answers:
            os.write(terminal, answers.pop(0))
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 3, said
    assert b"file is there. Overwrite?" in said
    assert (half / "file").read_text() == "two"
    assert (half / "one.conf").is_symlink()


def test_ask_needs_a_terminal(chain: House, tmp_path: Path) -> None:
    error, _ = complaint(run(*words(chain, tmp_path / "to"), "--overwrite", "ask", expect=2))
    assert "--overwrite ask needs a terminal" in error


def test_owners_are_mapped(chain: House, tmp_path: Path) -> None:
    owners = tmp_path / "owners"
    owners.write_text("# there, here\nuser root 4321\ngroup 0 daemon\n")
    run(*words(chain, tmp_path / "to"), "--map-owner", owners)
    status = (tmp_path / "to" / "file").stat()
    assert (status.st_uid, status.st_gid) == (4321, 1)
    owners.write_text("user root\n")
    error, _ = complaint(run(*words(chain, tmp_path / "again"), "--map-owner", owners, expect=2))
    assert "owners: line 1: expected" in error
    for new in ("nobody-of-this-name", "4294967295", "99999999999999999999", "-1", "\u00b2"):
        owners.write_text(f"user root {new}\n")
        error, _ = complaint(run(*words(chain, tmp_path / "again"), "--map-owner", owners, expect=2))
        assert f"this machine has no user {new}" in error
    for new, shown in (("a\x1b[31m", "a\\x1b[31m"), ("a\0b", "a\\x00b")):
        owners.write_text(f"group 0 {new}\n")
        error, _ = complaint(run(*words(chain, tmp_path / "again"), "--map-owner", owners, expect=2))
        assert error.endswith(f"line 1: this machine has no group {shown}")


def test_owners_by_name_or_by_number(tmp_path: Path, admin_key: Key) -> None:
    """By the name that they had, whatever its number is here; by number where that is asked for."""
    whose = {"uid": 1234, "gid": 4321, "uname": "daemon", "gname": "nobody-of-this-name"}
    top = member("snapshot/", tarfile.DIRTYPE, 0o755)
    forge(tmp_path / "vault", admin_key, [(top, b""), (member("snapshot/file", **whose), b"x")])
    known = ["restore", "run", tmp_path / "vault", "--host", HOST, *admin_key.arguments]
    for to, option, owner in (("named", [], 1), ("numbered", ["--numeric-owner"], 1234)):
        run(*known, "--to", tmp_path / to, *option)
        status = (tmp_path / to / "file").stat()
        assert (status.st_uid, status.st_gid) == (owner, 4321)


@pytest.mark.parametrize("link", [os.symlink, os.link])
def test_a_link_that_takes_the_place_of_a_pipe_is_not_followed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, link: Callable[..., None]
) -> None:
    """Whose folder it is that root restores into may be quick: root's chmod must not reach elsewhere."""
    precious = tmp_path / "precious"
    precious.touch(0o600)
    make = os.mkfifo

    def make_and_lose(name: bytes, mode: int, *, dir_fd: int) -> None:
        make(name, mode, dir_fd=dir_fd)
        os.unlink(name, dir_fd=dir_fd)
        within = os.readlink(f"/proc/self/fd/{dir_fd}")
        link(precious, os.path.join(os.fsencode(within), name))

    notes = Notes(Restored(), lambda _done: None)
    writer = Writer(tmp_path / "to", Policy(owners=False), notes)
    writer.write(Item((b"good",), "pipe", 0o640, 0, 0, 1.0))
    monkeypatch.setattr(os, "mkfifo", make_and_lose)
    writer.write(Item((b"bad",), "pipe", 0o666, 0, 0, 1.0))
    writer.close()
    assert stat.S_IMODE(precious.stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "to" / "good").stat().st_mode) == 0o640
    assert os.listdir(tmp_path / "to") == ["good"]


def test_what_takes_the_name_of_a_large_file_meanwhile_is_left(tmp_path: Path) -> None:
    """Nobody asked for it to be overwritten: it was not there when that was looked at."""
    place = tmp_path / "to" / "large"

    class Content(BytesIO):
        def close(self) -> None:
            place.write_text("mine")
            super().close()

    done = Restored()
    writer = Writer(tmp_path / "to", Policy(), Notes(done, lambda _done: None))
    writer.write(Item((b"large",), "file", 0o644, 0, 0, 1.0, content=lambda: Content(bytes(600_000))))
    writer.close()
    assert place.read_text() == "mine"
    assert os.listdir(tmp_path / "to") == ["large"]
    assert dict(done.unrestored.items()) == {"large": "something else took its name meanwhile"}


def test_json(chain: House, tmp_path: Path) -> None:
    told = json.loads(run(*words(chain, tmp_path / "to"), "--json").stdout)
    assert (told["host"], told["entries"], len(told["sets"])) == (HOST, 5, 2)
    assert told["unrestored"] == told["unlike"] == {}
    assert differences(describe(chain.source / "folder"), describe(tmp_path / "to")) == {}


def test_the_root_of_all_folders(tmp_path: Path) -> None:
    """Where a live system's user may want files: in place."""
    done = Restored()
    writer = Writer(Path("/"), Policy("always"), Notes(done, lambda _done: None))
    below = tuple(os.fsencode(part) for part in tmp_path.parts[1:])
    writer.write(Item((*below, b"link"), "link", 0o777, 0, 0, 1.0, target=b"to"))
    writer.close()
    assert os.readlink(tmp_path / "link") == "to"
    assert not done.unrestored
