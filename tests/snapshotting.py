"""What holds of snapshots of every kind, on a real file system of that kind."""

import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

from house import House
from mirrors import NIGHTDROP, wait_until
from trees import describe, differences

Left = Callable[[], list[str]]
"""Tells which snapshots there are."""


def configure(house: House, kind: str, script: str) -> None:
    """Read the source from a snapshot, and run this after it was taken and before the source is read."""
    folders = f'include = ["{house.source}"]\n[[snapshots]]\nfolder = "{house.source}"\nkind = "{kind}"\n'
    command = f"[[commands]]\nname = 'meanwhile'\ncommand = ['sh', '-c', '{script}']\n"
    house.configure('volume_size = "1M"', 'patience = "5s"', folders=folders + command)


def assert_one_state_and_nothing_left(house: House, folder: Path, kind: str, left: Left) -> None:
    """A full without a snapshot, then an incremental with one: the same paths, and one moment's state."""
    (house.source / "unchanged").write_bytes(os.urandom(100_000))
    (house.source / "file").write_text("before")
    house.configure()
    assert house.backup()["type"] == "full"
    (house.source / "changed").write_text("before the snapshot")
    before = describe(house.source)
    configure(house, kind, f"echo after >{house.source}/file; echo after >{house.source}/new")
    facts = house.backup()
    assert (facts["type"], facts["failed_sources"]) == ("inc", {})
    assert int(str(facts["stored"])) < 50_000
    assert (house.source / "new").read_text() == "after\n", "the command saw the folder itself"
    assert differences(before, describe(house.restore(folder / "to"))) == {}
    assert left() == []
    assert list((house.state / "views").iterdir()) == []


def assert_a_killed_run_is_cleared_up(house: House, folder: Path, kind: str, left: Left) -> None:
    """By the next run, and though that takes no snapshot any more."""
    (house.source / "file").write_text("x")
    begun = folder / "begun"
    configure(house, kind, f"touch {begun}; exec sleep 600")
    process = subprocess.Popen(
        [*NIGHTDROP, "backup", "--config", house.config, "--json"], start_new_session=True
    )
    wait_until(begun.exists, "the run reads")
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert left()
    house.configure()
    house.wait_until_no_run_is_left()
    house.backup()
    assert left() == []
