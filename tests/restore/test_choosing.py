"""Restoring some of a backup: several paths, patterns, parts of paths left off; the passphrase's ways."""

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from nightdrop_restore.choosing import Choice, Entry, Index, chosen

from house import HOST, House, complaint, run
from mirrors import NIGHTDROP
from trees import describe, differences


@pytest.fixture
def filled(house: House) -> House:
    for name in ("a/one.conf", "a/deep/two.conf", "b/three", "c/four.conf", "c/five"):
        (house.source / name).parent.mkdir(parents=True, exist_ok=True)
        (house.source / name).write_text(name * 60_000)
    (house.source / "a").chmod(0o750)
    os.link(house.source / "a" / "one.conf", house.source / "c" / "linked")
    house.backup()
    (house.source / "a" / "deep" / "two.conf").write_text("changed")
    (house.source / "c" / "new.conf").write_text("new")
    house.backup()
    return house


def names(root: Path) -> set[str]:
    return {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()}


def test_several_paths_keep_the_folders_above(filled: House, tmp_path: Path) -> None:
    source = filled.source
    back = filled.restore(
        tmp_path / "to", "--path", str(source / "a"), "--path", str(source / "c" / "linked")
    )
    assert names(back) == {"a/one.conf", "a/deep/two.conf", "c/linked"}
    assert (back / "a/deep/two.conf").read_text() == "changed"
    assert differences(describe(source / "a" / "deep"), describe(back / "a" / "deep")) == {}
    assert (back / "c" / "linked").stat().st_nlink == 2
    for one, other in ((source, back), (source / "a", back / "a"), (source / "c", back / "c")):
        assert one.stat().st_mode == other.stat().st_mode
        assert int(one.stat().st_mtime) == int(other.stat().st_mtime)


def test_strip(filled: House, tmp_path: Path) -> None:
    to, source = tmp_path / "to", filled.source
    depth = len(source.parts) - 1
    words = ["--path", str(source / "a"), "--path", str(source / "b"), "--strip", str(depth)]
    filled.restore(to, *words)
    assert names(to) == {"a/one.conf", "a/deep/two.conf", "b/three"}
    filled.restore(tmp_path / "whole", "--path", str(source / "b"), "--strip", "0")
    assert names(tmp_path / "whole") == {str((source / "b" / "three").relative_to("/"))}


def test_find(filled: House, tmp_path: Path) -> None:
    back = filled.restore(tmp_path / "to", "--find", "*.conf")
    assert names(back) == {"a/one.conf", "a/deep/two.conf", "c/four.conf", "c/new.conf"}
    filled.restore(tmp_path / "c", "--path", str(filled.source / "c"), "--find", "n*", "--find", "five")
    assert names(tmp_path / "c") == {"new.conf", "five"}
    back = filled.restore(tmp_path / "deep", "--find", f"{filled.source}/*/deep")
    assert names(back) == {"a/deep/two.conf"}


def test_files_of_a_path_and_a_pattern(filled: House) -> None:
    words = ["restore", "files", filled.mirrors[0].vault, "--host", HOST, *filled.key.arguments]
    said = run(*words, "--path", filled.source / "a", "--find", "*.conf").stdout.splitlines()
    below = filled.source.relative_to("/")
    assert [line.split()[-1] for line in said] == [f"{below}/a/deep/two.conf", f"{below}/a/one.conf"]


def test_a_path_that_is_not_there_is_said(filled: House, tmp_path: Path) -> None:
    vault, key = filled.mirrors[0].vault, filled.key.arguments
    words = ["restore", "run", vault, "--host", HOST, "--to", tmp_path / "to", *key]
    said = run(*words, "--path", filled.source / "b", "--path", "/nowhere", expect=3).stdout
    assert "it is not in the backup:\n    nowhere\n" in said


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (["--path", "/"], "--path needs a path"),
        (["--path", "/a/../b"], "--path needs a path"),
        (["--strip", "1"], "--strip 1 does not fit"),
        (["--path", "/a/b", "--path", "/c/d", "--strip", "1"], "--strip 1 does not fit"),
        (["--path", "/a/b", "--path", "/a", "--strip", "2"], "--strip 2 would leave nothing"),
        (["--path", "/a", "--strip", "-1"], "--strip -1 does not fit"),
    ],
)
def test_mistakes(tmp_path: Path, words: list[str], error: str) -> None:
    known = ["restore", "run", tmp_path, "--host", HOST, "--to", tmp_path / "to", "--key", "none"]
    assert error in run(*known, *words, expect=2).stderr


@dataclass(frozen=True)
class Thing:
    index: Index
    folder: bool


def test_nothing_is_restored_through_a_link() -> None:
    """A backup that somebody forged: what is below a link is refused, and nothing else."""
    things = [
        Thing((), True),
        Thing((b"a",), False),
        Thing((b"a", b"passwd"), False),
        Thing((b"a", b"x", b"y"), True),
        Thing((b"ab",), True),
        Thing((b"ab", b"c"), False),
    ]
    refused: list[Index] = []
    kept = list(chosen(things, lambda t: Entry(t.index, t.folder), Choice(), refused.append))
    assert [thing.index for thing in kept] == [(), (b"a",), (b"ab",), (b"ab", b"c")]
    assert refused == [(b"a", b"passwd"), (b"a", b"x", b"y")]


def test_passphrase_from_a_descriptor(filled: House, tmp_path: Path) -> None:
    reading, writing = os.pipe()
    os.write(writing, filled.key.passphrase.read_bytes())
    os.close(writing)
    words = ["--host", HOST, "--to", tmp_path / "to", "--key", filled.key.private]
    command = [*NIGHTDROP, "restore", "run", filled.mirrors[0].vault, *words]
    subprocess.run([*command, "--passphrase-fd", str(reading)], check=True, pass_fds=[reading])
    os.close(reading)
    error, _hint = complaint(
        run(
            "restore",
            "files",
            filled.mirrors[0].vault,
            "--host",
            HOST,
            *words[4:],
            "--passphrase-fd",
            77,
            expect=2,
        )
    )
    assert "descriptor 77: cannot read the passphrase: Bad file descriptor" in error
