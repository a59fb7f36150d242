"""What a killed restore leaves on a disk, in the clear: the next one tells of it, and of nothing else."""

import os
import subprocess
from pathlib import Path

import pytest

from nightdrop_restore.writing.workplaces import left_behind, locked_folder
from restore.test_killed import killed_at, words

from house import HOST, House, run
from mirrors import NIGHTDROP


def told(said: str) -> set[str]:
    """The folders that were warned of."""
    warnings = [
        line for line in said.splitlines() if line.startswith("warning: a restore that was killed")
    ]
    return {
        line.removeprefix("warning: a restore that was killed left ").split(",")[0] for line in warnings
    }


def leftover(folder: Path) -> Path:
    folder.mkdir()
    (folder / "volume").write_text("secret")
    return folder


def test_the_next_run_tells_of_a_killed_one(chain: House, tmp_path: Path) -> None:
    command = words(chain, tmp_path / "to", "always")
    killed_at(3, command, tmp_path / "to")
    left = [str(path) for path in tmp_path.glob(".nightdrop-restore-*")]
    assert len(left) == 1
    done = subprocess.run([*NIGHTDROP, *map(str, command)], capture_output=True, text=True, check=True)
    assert told(done.stderr) == set(left)
    assert [str(path) for path in tmp_path.glob(".nightdrop-restore-*")] == left


@pytest.mark.parametrize("what", ["restore", "drill", "open"])
def test_what_counts_as_left(tmp_path: Path, what: str) -> None:
    """Not what is in use, or empty, or somebody else's; nothing that only looks like one."""
    left = leftover(tmp_path / f".nightdrop-{what}-abcd_123")
    (tmp_path / f".nightdrop-{what}-11111111").mkdir()
    (tmp_path / f".nightdrop-{what}-22222222").write_text("a file")
    (tmp_path / f".nightdrop-{what}-33333333").symlink_to(left)
    os.mkfifo(tmp_path / f".nightdrop-{what}-44444444")
    leftover(tmp_path / f".nightdrop-{what}-66666666\x1b[31m")
    os.chown(leftover(tmp_path / f".nightdrop-{what}-55555555"), 65534, 65534)
    with locked_folder("restore", tmp_path) as used:
        (used / "volume").write_text("secret")
        assert left_behind(tmp_path) == [left]
    assert not used.exists()


def test_every_verb_that_has_a_workplace_tells(
    chain: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = tmp_path / "here"
    here.mkdir()
    left = leftover(here / ".nightdrop-drill-abcdefgh")
    vault, key = chain.mirrors[0].vault, chain.key.arguments
    monkeypatch.setenv("TMPDIR", str(here))
    verbs = {
        "files": ["--host", HOST, *key],
        "run": ["--host", HOST, "--to", here / "to", "--path", chain.source / "folder", *key],
        "drill": ["--work", here, "--sample", "1", *key],
    }
    for verb, more in verbs.items():
        assert told(run("restore", verb, vault, *more).stderr) == {str(left)}, verb
