"""Restoring as an administrator does it, and the mistakes that may happen on the way."""

import os
from pathlib import Path

import pytest

from house import HOST, House, Key, complaint, run
from trees import describe, differences


@pytest.fixture
def filled(house: House) -> House:
    (house.source / "folder").mkdir()
    (house.source / "folder" / "file").write_text("one")
    (house.source / "other\x1b[31m").write_text("x")
    os.link(house.source / "folder" / "file", house.source / "folder" / "link")
    house.backup()
    return house


def test_list_needs_no_key(filled: House) -> None:
    filled.backup()
    said = run("restore", "list", filled.mirrors[0].vault).stdout
    assert said.startswith(f"{HOST}: 2 sets, ")
    assert "duplicity full" in said
    assert "duplicity inc" in said
    assert "NOT WHOLE" not in said


def test_list_says_what_a_set_lacks(filled: House) -> None:
    [manifest] = [name for name in filled.names() if ".manifest." in name]
    (filled.mirrors[0].vault / HOST / manifest).unlink()
    said = run("restore", "list", filled.mirrors[0].vault).stdout
    assert f"NOT WHOLE: it lacks {manifest}" in said


def test_files_are_listed_without_terminal_escapes(filled: House) -> None:
    said = run(
        *("restore", "files", filled.mirrors[0].vault, "--host", HOST, *filled.key.arguments)
    ).stdout
    below = str(filled.source.relative_to("/"))
    assert f"{below}/folder/file\n" in said
    assert "other\\x1b[31m" in said
    assert "\x1b" not in said


def test_one_path_with_its_hard_links(filled: House, tmp_path: Path) -> None:
    to = tmp_path / "one"
    filled.restore(to, "--path", str(filled.source / "folder"))
    assert differences(describe(filled.source / "folder"), describe(to)) == {}
    assert (to / "file").stat().st_nlink == 2


def test_unfinished_newest_set_does_not_stand_in_the_way(filled: House, tmp_path: Path) -> None:
    (filled.source / "folder" / "file").write_text("two")
    filled.backup()
    vault = filled.mirrors[0].vault / HOST
    for name in filled.names():
        if "-inc." in name and (".receipt." in name or ".manifest." in name):
            (vault / name).unlink()
    restored = filled.restore(tmp_path / "restored")
    assert (restored / "folder" / "file").read_text() == "one"


def test_wrong_passphrase(filled: House, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong"
    wrong.write_text("wrong\n")
    words = ["--host", HOST, "--to", tmp_path / "to", "--key", filled.key.private]
    error, _ = complaint(
        run("restore", "run", filled.mirrors[0].vault, *words, "--passphrase-file", wrong, expect=1)
    )
    assert error == f"nightdrop: error: the passphrase does not open the key {filled.key.private}"
    error, _ = complaint(run("restore", "run", filled.mirrors[0].vault, *words, expect=2))
    assert "there is no terminal to ask for it" in error
    assert not (tmp_path / "to").exists()


def test_somebody_elses_key(filled: House, tmp_path: Path, other_key: Key) -> None:
    words = ["--host", HOST, "--to", tmp_path / "to", *other_key.arguments]
    error, hint = complaint(run("restore", "run", filled.mirrors[0].vault, *words, expect=1))
    assert "the key given does not open this envelope" in error
    assert "sealed to CN=admin" in hint
    assert not (tmp_path / "to").exists()


@pytest.mark.parametrize(
    ("words", "status", "error"),
    [
        (["--host", "nobody", "--to", "{to}"], 2, "the vault has no host nobody"),
        (["--host", HOST, "--to", "{to}", "--time", "soon"], 2, "'soon' is not a time"),
        (
            ["--host", HOST, "--to", "{to}", "--time", "3D"],
            1,
            "there is no backup that can be restored from",
        ),
        (["--host", HOST, "--to", "{full}"], 2, "is there and not empty"),
        (["--host", HOST, "--to", "{to}/deeper/still"], 2, "there is no folder"),
    ],
)
def test_mistakes(filled: House, tmp_path: Path, words: list[str], status: int, error: str) -> None:
    full = tmp_path / "full"
    full.mkdir()
    (full / "precious").write_text("kept")
    places = {"to": tmp_path / "to", "full": full}
    done = run(
        *("restore", "run", filled.mirrors[0].vault, *(word.format(**places) for word in words)),
        *filled.key.arguments,
        expect=status,
    )
    assert error in complaint(done)[0]
    assert (full / "precious").read_text() == "kept"


def test_key_and_passphrase_are_in_no_process_and_no_file(filled: House, tmp_path: Path) -> None:
    """While a restore runs, nobody else on the machine can see the key."""
    import subprocess

    from mirrors import NIGHTDROP

    (filled.source / "large").write_bytes(os.urandom(8_000_000))
    filled.backup()
    passphrase = filled.key.passphrase.read_bytes().strip()
    vault, key = filled.mirrors[0].vault, filled.key.arguments
    process = subprocess.Popen(
        [*NIGHTDROP, "restore", "run", vault, "--host", HOST, "--to", tmp_path / "to", *key],
        stdout=subprocess.DEVNULL,
    )
    looked = 0
    while process.poll() is None:
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                shown = (folder / "cmdline").read_bytes() + (folder / "environ").read_bytes()
            except OSError:
                continue
            looked += b"nightdrop_restore.gpgsm" in shown
            assert passphrase not in shown
            assert b"PRIVATE KEY" not in shown
        for path in tmp_path.glob(".nightdrop-restore-*/*"):
            if path.is_file() and path.stat().st_size < 10_000:
                assert b"PRIVATE" not in path.read_bytes()
    assert process.returncode == 0
    assert looked
    assert not list(tmp_path.glob(".nightdrop-restore-*")), "the workplace was left behind"
