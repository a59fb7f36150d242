"""A restore that is killed, and run again into the same folder: what it had begun is finished."""

import os
import random
import signal
import subprocess
from pathlib import Path

import pytest

from nightdrop_restore.items import Item
from nightdrop_restore.noting import Notes, Restored
from nightdrop_restore.writing.unfinished import is_unfinished
from nightdrop_restore.writing.writer import Policy, Writer
from restore.conftest import SEED

from house import HOST, House, run
from mirrors import NIGHTDROP, wait_until
from trees import describe, differences


def words(chain: House, to: Path, overwrite: str) -> list[str | Path]:
    given = ["--host", HOST, "--to", to, "--overwrite", overwrite, "--setuid", "--devices"]
    return ["restore", "run", chain.mirrors[0].vault, *given, *chain.key.arguments]


def killed_at(entries: int, command: list[str | Path], to: Path) -> None:
    """Begin a restore, and kill all of it when that many things are there."""
    process = subprocess.Popen([*NIGHTDROP, *command], stdout=subprocess.DEVNULL, start_new_session=True)
    wait_until(lambda: len(list(to.rglob("*"))) >= entries, f"{entries} things are there")
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


@pytest.mark.parametrize("overwrite", ["never", "always"])
def test_at_any_moment(chain: House, tmp_path: Path, overwrite: str) -> None:
    """Whatever was under way: afterwards all is as it was, and what is said of files that were there
    already is said of whole ones.
    """
    there = describe(chain.source)
    to = tmp_path / "to"
    command = words(chain, to, overwrite)
    moments = random.Random(f"{SEED} {overwrite}")
    for least in (1, len(there) // 2):
        killed_at(moments.randrange(least, least + len(there) // 3), command, to)
    run(*command, expect=3 if overwrite == "never" else 0)
    assert differences(there, describe(to / chain.source.relative_to("/"))) == {}


def test_what_it_leaves(chain: House, tmp_path: Path) -> None:
    """A file and a folder whose modes say that they are not finished, and a file that has no name yet.
    What somebody changed since is not touched.
    """
    there = describe(chain.source)
    to = tmp_path / "to"
    run(*words(chain, to, "never"))
    below = to / chain.source.relative_to("/")
    os.truncate(below / "a" / "00", 1000)
    (below / "a" / "00").chmod(0o1600)
    (below / "m").chmod(0o1700)
    (below / "m" / ".nightdrop-0123456789abcdef").write_text("half of it")
    (below / "z" / "00").write_text("mine")
    run(*words(chain, to, "never"), expect=3)
    assert set(differences(there, describe(below))) <= {b"z/00", b"a"}
    assert (below / "z" / "00").read_text() == "mine"


@pytest.mark.parametrize("last", ["fchown", "utime"])
def test_its_own_mode_is_the_last_thing_that_a_folder_gets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, last: str
) -> None:
    """Killed before that, in this very moment, it tells that it is not finished."""

    def kill(*_arguments: object) -> None:
        raise KeyboardInterrupt

    writer = Writer(tmp_path / "to", Policy(), Notes(Restored(), lambda _done: None))
    writer.write(Item((), "folder", 0o755, 0, 0, 1.0))
    monkeypatch.setattr(os, last, kill)
    with pytest.raises(KeyboardInterrupt):
        writer.close()
    assert is_unfinished((tmp_path / "to").stat())
