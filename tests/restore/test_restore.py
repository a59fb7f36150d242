"""Restoring as an administrator does it, and the mistakes that may happen on the way."""

import glob
import os
import pty
from contextlib import suppress
from pathlib import Path

import pytest

from house import HOST, House, Key, complaint, run
from mirrors import NIGHTDROP, wait_until
from trees import describe, differences


def test_list_needs_no_key(chain: House) -> None:
    said = run("restore", "list", chain.mirrors[0].vault).stdout
    assert said.startswith(f"{HOST}: 2 sets, ")
    assert "duplicity full" in said
    assert "duplicity inc" in said
    assert "NOT WHOLE" not in said


def test_list_says_what_a_set_lacks(chain: House) -> None:
    [manifest, _] = [name for name in chain.names() if ".manifest." in name]
    (chain.mirrors[0].vault / HOST / manifest).unlink()
    said = run("restore", "list", chain.mirrors[0].vault).stdout
    assert f"NOT WHOLE: it lacks {manifest}" in said


def test_files_are_listed_without_terminal_escapes(chain: House) -> None:
    said = run(*("restore", "files", chain.mirrors[0].vault, "--host", HOST, *chain.key.arguments)).stdout
    below = str(chain.source.relative_to("/"))
    assert f"{below}/folder/file\n" in said
    assert "other\\x1b[31m" in said
    assert "\x1b" not in said


def test_one_path_with_its_hard_links(chain: House, tmp_path: Path) -> None:
    to = tmp_path / "one"
    chain.restore(to, "--path", str(chain.source / "folder"))
    assert differences(describe(chain.source / "folder"), describe(to)) == {}
    assert (to / "file").stat().st_nlink == (to / "hard link").stat().st_nlink == 2


def test_unfinished_newest_set_does_not_stand_in_the_way(chain: House, tmp_path: Path) -> None:
    vault = chain.mirrors[0].vault / HOST
    for name in chain.names():
        if "-inc." in name and (".receipt." in name or ".manifest." in name):
            (vault / name).unlink()
    restored = chain.restore(tmp_path / "restored", "--devices")
    assert (restored / "folder" / "file").read_text() == "one"


def test_wrong_passphrase(chain: House, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong"
    wrong.write_text("wrong\n")
    words = ["--host", HOST, "--to", tmp_path / "to", "--key", chain.key.private]
    error, _ = complaint(
        run("restore", "run", chain.mirrors[0].vault, *words, "--passphrase-file", wrong, expect=1)
    )
    assert error == f"nightdrop: error: the passphrase does not open the key {chain.key.private}"
    error, _ = complaint(run("restore", "run", chain.mirrors[0].vault, *words, expect=2))
    assert "there is no terminal to ask for it" in error
    assert not (tmp_path / "to").exists()


def test_somebody_elses_key(chain: House, tmp_path: Path, other_key: Key) -> None:
    words = ["--host", HOST, "--to", tmp_path / "to", *other_key.arguments]
    error, hint = complaint(run("restore", "run", chain.mirrors[0].vault, *words, expect=1))
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
def test_mistakes(chain: House, tmp_path: Path, words: list[str], status: int, error: str) -> None:
    full = tmp_path / "full"
    full.mkdir()
    (full / "precious").write_text("kept")
    places = {"to": tmp_path / "to", "full": full}
    done = run(
        *("restore", "run", chain.mirrors[0].vault, *(word.format(**places) for word in words)),
        *chain.key.arguments,
        expect=status,
    )
    assert error in complaint(done)[0]
    assert (full / "precious").read_text() == "kept"


def test_key_and_passphrase_are_in_no_process_and_no_file(chain: House, tmp_path: Path) -> None:
    """While a restore runs, nobody else on the machine can see the key. It stands in the middle and is
    looked at: it asks whether a file may be overwritten, and there is much to be written after that.
    """
    passphrase = chain.key.passphrase.read_bytes().strip()
    there = tmp_path / "to" / chain.source.relative_to("/") / "a" / "00"
    there.parent.mkdir(parents=True)
    there.touch()
    words = ["restore", "run", str(chain.mirrors[0].vault), "--host", HOST, "--to", str(tmp_path / "to")]
    words += ["--devices", "--setuid", "--overwrite", "ask", *chain.key.arguments]
    # In a session of its own: other processes of this machine may name any key they like.
    pid, terminal = pty.fork()
    if pid == 0:
        os.execv(NIGHTDROP[0], [*NIGHTDROP, *words])
    said = b""
    while b"Overwrite?" not in said:
        said += os.read(terminal, 10_000)
    wait_until(lambda: looked_at(pid, tmp_path, passphrase), "duplicity is at it, with a volume")
    os.write(terminal, b"y\n")
    with suppress(OSError):
        while piece := os.read(terminal, 10_000):
            said += piece
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0, said
    assert not list(tmp_path.glob(".nightdrop-restore-*")), "the workplace was left behind"


def looked_at(session: int, folder: Path, passphrase: bytes) -> bool:
    """See that no process of the session shows the secrets, nor any file of its workplace; whether
    the one that reads volumes was among them, and a volume.
    """
    readers = volumes = 0
    for process in Path("/proc").glob("[0-9]*"):
        # What ends, or is removed, while it is looked at had nothing to hide before, either.
        with suppress(OSError):
            if os.getsid(int(process.name)) == session:
                shown = (process / "cmdline").read_bytes() + (process / "environ").read_bytes()
                assert passphrase not in shown
                assert b"PRIVATE KEY" not in shown
                readers += b"nightdrop_restore.engine.launcher" in shown
    for path in glob.glob(f"{folder}/.nightdrop-restore-*/**", recursive=True, include_hidden=True):
        with suppress(OSError):
            if os.path.isfile(path):
                assert b"PRIVATE" not in Path(path).read_bytes()
                volumes += os.path.getsize(path) > 10_000
    return bool(readers and volumes)
