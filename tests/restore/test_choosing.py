"""Restoring some of a backup: several paths, patterns, parts of paths left off; the passphrase's ways."""

import json
import os
import subprocess
import tarfile
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import pytest

from nightdrop_restore.choosing import Choice, Entry, Index, chosen
from restore.forging import forge, member, tar

from house import HOST, House, Key, complaint, run
from mirrors import NIGHTDROP
from trees import describe, differences


def names(root: Path) -> set[str]:
    return {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()}


def test_several_paths_keep_the_folders_above(chain: House, tmp_path: Path) -> None:
    source = chain.source
    back = chain.restore(
        tmp_path / "to", "--path", str(source / "m" / "deep"), "--path", str(source / "folder" / "file")
    )
    assert names(back) == {"m/deep/er/file", "folder/file"}
    assert (back / "folder/file").read_text() == "two"
    assert differences(describe(source / "m" / "deep"), describe(back / "m" / "deep")) == {}
    for one, other in ((source, back), (source / "m", back / "m"), (source / "folder", back / "folder")):
        assert one.stat().st_mode == other.stat().st_mode
        assert int(one.stat().st_mtime) == int(other.stat().st_mtime)


def test_names_of_one_file_in_several_paths(chain: House, tmp_path: Path) -> None:
    folder = chain.source / "folder"
    words = ["--path", str(folder / "file"), "--path", str(folder / "hard link")]
    back = chain.restore(tmp_path / "to", *words) / "folder"
    assert (back / "file").samefile(back / "hard link")


def test_strip(chain: House, tmp_path: Path) -> None:
    to, source = tmp_path / "to", chain.source
    depth = len(source.parts) - 1
    words = ["--path", str(source / "folder"), "--path", str(source / "c new"), "--strip", str(depth)]
    chain.restore(to, *words)
    assert names(to) == {"folder/file", "folder/hard link", "folder/one.conf", "folder/new.conf", "c new"}
    chain.restore(tmp_path / "whole", "--path", str(source / "c new"), "--strip", "0")
    assert names(tmp_path / "whole") == {str((source / "c new").relative_to("/"))}


def test_find(chain: House, tmp_path: Path) -> None:
    back = chain.restore(tmp_path / "to", "--find", "*.conf")
    assert names(back) == {"folder/one.conf", "folder/new.conf"}
    folder = str(chain.source / "folder")
    chain.restore(tmp_path / "some", "--path", folder, "--find", "n*", "--find", "file")
    assert names(tmp_path / "some") == {"new.conf", "file"}
    back = chain.restore(tmp_path / "deep", "--find", f"{chain.source}/*/deep")
    assert names(back) == {f"{name}/deep/er/file" for name in "amz"}


def test_files_of_a_path_and_a_pattern(chain: House) -> None:
    words = ["restore", "files", chain.mirrors[0].vault, "--host", HOST, *chain.key.arguments]
    said = run(*words, "--path", chain.source / "folder", "--find", "*.conf").stdout.splitlines()
    below = chain.source.relative_to("/")
    assert [line.split()[-1] for line in said] == [f"{below}/folder/new.conf", f"{below}/folder/one.conf"]


def test_a_path_that_is_not_there_is_said(chain: House, tmp_path: Path) -> None:
    vault, key = chain.mirrors[0].vault, chain.key.arguments
    words = ["restore", "run", vault, "--host", HOST, "--to", tmp_path / "to", *key]
    said = run(*words, "--path", chain.source / "folder", "--path", "/nowhere", expect=3).stdout
    assert "it is not in the backup:\n    nowhere\n" in said


@pytest.mark.parametrize("words", [["--path", "/nowhere"], ["--find", "nothing.*"]])
def test_nothing_of_it_is_there(chain: House, tmp_path: Path, words: list[str]) -> None:
    known = ["restore", "run", chain.mirrors[0].vault, "--host", HOST, "--to", tmp_path / "to"]
    error, hint = complaint(run(*known, *words, *chain.key.arguments, expect=1))
    assert error.endswith(f"nothing of what is wanted is in this backup of {HOST}")
    assert "`nightdrop restore files`" in hint
    assert not (tmp_path / "to").exists()


def test_the_one_file_that_is_wanted_is_lost(chain: House, tmp_path: Path) -> None:
    for volume in (chain.mirrors[0].vault / HOST).glob("*.difftar.*"):
        volume.unlink()
    known = ["restore", "run", chain.mirrors[0].vault, "--host", HOST, "--to", tmp_path / "to"]
    lost = chain.source / "b large"
    done = run(*known, "--path", lost, *chain.key.arguments, expect=3)
    assert f"    {lost.relative_to('/')}\n" in done.stdout


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


def test_passphrase_from_a_descriptor(chain: House, tmp_path: Path) -> None:
    reading, writing = os.pipe()
    os.write(writing, chain.key.passphrase.read_bytes())
    os.close(writing)
    words = ["--host", HOST, "--to", tmp_path / "to", "--key", chain.key.private]
    folder = ["--path", chain.source / "folder"]
    command = [*NIGHTDROP, "restore", "run", chain.mirrors[0].vault, *words, *folder]
    subprocess.run([*command, "--passphrase-fd", str(reading)], check=True, pass_fds=[reading])
    os.close(reading)
    error, _hint = complaint(
        run(
            "restore",
            "files",
            chain.mirrors[0].vault,
            "--host",
            HOST,
            *words[4:],
            "--passphrase-fd",
            77,
            expect=2,
        )
    )
    assert "descriptor 77: cannot read the passphrase: Bad file descriptor" in error


def test_files_for_programs(chain: House) -> None:
    words = ["restore", "files", chain.mirrors[0].vault, "--host", HOST, "--json", *chain.key.arguments]
    told = {each["path"]: each for each in json.loads(run(*words).stdout)}
    below = chain.source.relative_to("/")
    assert told.keys() >= {".", f"{below}/other\x1b[31m", f"{below}/program"}
    for path, name in (("folder", "folder"), ("a/link", "link"), ("device", "character device")):
        assert told[f"{below}/{path}"]["type"] == name
    changed = datetime.fromisoformat(told[f"{below}/folder/file"]["changed"])
    assert changed.timestamp() == int((chain.source / "folder" / "file").stat().st_mtime)


@pytest.mark.parametrize("words", [["--path", "/nowhere"], ["--find", "nothing.*"]])
def test_nothing_of_it_is_listed(chain: House, words: list[str]) -> None:
    known = ["restore", "files", chain.mirrors[0].vault, "--host", HOST, *chain.key.arguments]
    error, _ = complaint(run(*known, *words, expect=1))
    assert error.endswith(f"nothing of what is wanted is in this backup of {HOST}")


def test_a_name_with_a_line_feed_is_one_file(tmp_path: Path, admin_key: Key) -> None:
    """It cannot pass for another one."""
    top = member("snapshot/", tarfile.DIRTYPE, 0o755)
    name = "x\nSat Nov 21 18:02:47 2026 etc/shadow"
    signatures = tar([(top, b""), (member(f"signature/{name}"), b"")])
    forge(tmp_path / "vault", admin_key, [(top, b"")], signatures=signatures)
    listed = run("restore", "files", tmp_path / "vault", "--host", HOST, *admin_key.arguments).stdout
    assert [line.partition("Z  ")[2] for line in listed.splitlines()] == [".", name.replace("\n", "\\n")]
