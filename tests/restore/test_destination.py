"""The folder that is restored to, as it should not be: read-only, full, somebody else's, a file."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from nightdrop_restore.writing.workplaces import workplace

from house import HOST, House, complaint, run
from mirrors import NIGHTDROP
from trees import describe, differences

NOT_ALL_MIGHTY = ["setpriv", "--bounding-set", "-dac_override,-dac_read_search"]
"""Makes root one who may write only where the modes let root."""


def words(chain: House, to: Path, *more: object) -> list[object]:
    known = ["restore", "run", chain.mirrors[0].vault, "--host", HOST, "--to", to, *chain.key.arguments]
    return [*known, "--path", chain.source / "folder", *more]


@contextmanager
def mounted(folder: Path, options: str) -> Iterator[Path]:
    """A disk in memory."""
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", folder], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", folder], check=True)


def test_what_cannot_be_written_to(chain: House, tmp_path: Path) -> None:
    """It is said before the passphrase is asked for, and nothing is read from the vault."""
    with mounted(tmp_path / "disk", "size=1m") as disk:
        (disk / "empty").mkdir()
        subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
        for to, place in ((disk / "new", disk), (disk / "empty", disk / "empty")):
            wanted = [word for word in words(chain, to) if word != "--passphrase-file"]
            wanted.remove(str(chain.key.passphrase))
            error, hint = complaint(run(*wanted, expect=2))
            assert error == f"nightdrop: error: nothing can be written to {place}"
            assert "name another folder" in hint


def test_what_is_in_its_place(chain: House, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    (tmp_path / "link").symlink_to("nowhere")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine").write_text("mine")
    for name, why in (
        ("file", "is there and no folder"),
        ("link", "is a symbolic link"),
        ("full", "is there and not empty"),
        ("file/deeper", f"there is no folder {tmp_path / 'file'}"),
    ):
        error, _ = complaint(run(*words(chain, tmp_path / name), expect=2))
        assert why in error
    assert (tmp_path / "file").read_text() == (tmp_path / "full" / "mine").read_text() == "mine"


def test_a_folder_of_ours_in_one_of_somebody_elses(chain: House, tmp_path: Path) -> None:
    """Temporary files are in it then; of what it has, a folder that is closed to us is told of."""
    ours = tmp_path / "theirs" / "ours"
    (ours / "deep").mkdir(parents=True)
    ours.parent.chmod(0o555)
    (ours / "deep").chmod(0o555)
    wanted, folder = words(chain, ours, "--overwrite", "never"), chain.source / "a"
    wanted[-3] = folder
    done = subprocess.run(
        [*NOT_ALL_MIGHTY, *NIGHTDROP, *map(str, wanted)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 3, done.stderr
    there = folder.relative_to("/") / "deep" / "er"
    assert done.stdout.endswith(
        f"not restored: 2 files\n  Permission denied:\n    {there}\n    {there}/file\n"
    )
    assert (ours / "29").is_file()
    assert [path.name for path in ours.parent.rglob(".nightdrop-*")] == []


def test_temporary_files_elsewhere(chain: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever TMPDIR says: nothing plain lies where nobody meant it to."""
    with mounted(tmp_path / "disk", "size=20m") as disk, mounted(tmp_path / "other", "size=4k") as other:
        monkeypatch.setenv("TMPDIR", str(other))
        run(*words(chain, disk / "to"))
        back = describe(disk / "to")
        assert os.listdir(disk) == ["to"]
        assert os.listdir(other) == []
    assert differences(describe(chain.source / "folder"), back) == {}


@pytest.mark.parametrize("room", ["1m", "6m"], ids=["at once", "later"])
def test_a_disk_that_is_full(chain: House, tmp_path: Path, room: str) -> None:
    """It ends there, says so, and leaves no piece of a file behind; nor are volumes told of as lost that
    find no room.
    """
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={room}", "tmpfs", disk], check=True)
    try:
        known = ["restore", "run", chain.mirrors[0].vault, "--host", HOST, "--to", disk]
        error, hint = complaint(run(*known, *chain.key.arguments, expect=1))
        assert error == "nightdrop: error: cannot write any more: No space left on device"
        assert "restore to a larger disk" in hint
        restored = disk / chain.source.relative_to("/")
        there, back = describe(chain.source), describe(restored) if restored.exists() else {}
        assert any(one.type == "-" for one in back.values()) == (room == "6m")
        assert [name for name, one in back.items() if one.content != there[name].content] == []
    finally:
        subprocess.run(["umount", disk], check=True)
    assert not list(tmp_path.glob(".nightdrop-restore-*"))


def test_a_disk_of_its_own_has_the_workplace(tmp_path: Path) -> None:
    """Not the live system, which is in memory."""
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", disk], check=True)
    try:
        with workplace(disk) as work:
            assert work.parent == disk
        assert list(disk.iterdir()) == []
    finally:
        subprocess.run(["umount", disk], check=True)
    with workplace(disk) as work:
        assert work.parent == tmp_path


def test_open_into_a_folder_that_cannot_be(tmp_path: Path) -> None:
    """It is said before anything is read, and before a passphrase is asked for."""
    (tmp_path / "file").write_text("x")
    (tmp_path / "dangling").symlink_to("nowhere")
    words = ["restore", "open", tmp_path / "conf-full.20260102T030405Z.tar.p7m", "--key", tmp_path / "no"]
    for path, why in (
        (tmp_path / "no" / "folder", f"there is no folder {tmp_path / 'no'}"),
        (tmp_path / "file", f"{tmp_path / 'file'} is there and no folder"),
        (tmp_path / "dangling", f"{tmp_path / 'dangling'} is there and no folder"),
    ):
        error, _hint = complaint(run(*words, "-o", path, expect=2))
        assert error == f"nightdrop: error: {why}"


def test_a_drill_with_no_place_for_its_record(tmp_path: Path) -> None:
    """That is said before it takes hours."""
    with mounted(tmp_path / "disk", "size=1m,ro") as disk:
        words = ["restore", "drill", tmp_path, "--key", tmp_path / "no", "--record", disk]
        error, _hint = complaint(run(*words, expect=2))
    assert error == f"nightdrop: error: nothing can be written to {disk}"
