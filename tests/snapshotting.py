"""What holds of snapshots of every kind, on a real file system of that kind."""

import json
import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from house import House, Key
from mirrors import NIGHTDROP, wait_until
from trees import describe, differences

APART: Final = ("unshare", "--mount", "--propagation", "private")
"""Mounts that are made after these words nobody else sees."""

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


def assert_the_root_is_read_from_a_snapshot(
    root: Path, folder: Path, key: Key, kind: str, apart: Sequence[str] = APART
) -> None:
    """`root` is / to a run within it; what that needs of this machine is mounted below. `apart` are words
    to put before the commands that mount it.
    """
    (folder / "outside").mkdir()
    house = House(folder / "outside", key)
    (root / "srv").mkdir()
    (root / "srv" / "file").write_text("before")
    command = ["sh", "-c", "echo after >/srv/file; echo after >/srv/new"]
    house.config.write_text(
        f'bundle = "bundle.toml"\nstate = "{house.state}"\n[folders]\ninclude = ["/srv"]\n'
        f'[[snapshots]]\nfolder = "/"\nkind = "{kind}"\n'
        f'[[commands]]\nname = "meanwhile"\ncommand = {json.dumps(command)}\n'
    )
    house.start()
    try:
        assert _within(root, house, apart, "backup")["failed_sources"] == {}
    finally:
        house.close()
    assert (root / "srv" / "new").read_text() == "after\n", "the command saw / itself"
    assert (root / "srv" / "file").read_text() == "after\n"
    house.source = Path("/srv")
    restored = house.restore(folder / "to")
    assert {path.name: path.read_text() for path in restored.iterdir()} == {"file": "before"}
    assert list((house.state / "views").iterdir()) == []


def _within(root: Path, house: House, apart: Sequence[str], *words: str) -> dict[str, object]:
    """Run `nightdrop` with that folder for its /, and this machine's programs."""
    usual = "/dev /proc /sys /run /var/run /etc /usr /bin /lib /lib64 /sbin"
    places = [Path(place) for place in usual.split()]
    places += [Path(sys.prefix), Path(sys.base_prefix), Path(__file__).parents[1], house.root]
    command = [*NIGHTDROP, *words, "--json", "--config", str(house.config)]
    script = f"mount --bind {root} {root}\n"
    for place in sorted({place for place in places if place.is_dir()}):
        script += f"mkdir -p {root}{place}; mount --rbind {place} {root}{place}\n"
    script += f"status=0; chroot {root} {shlex.join(command)} || status=$?\n"
    script += f"mount --make-rprivate {root}; umount --recursive {root}; exit $status"
    done = subprocess.run([*apart, "sh", "-euc", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    facts: dict[str, object] = json.loads(done.stdout)
    return facts
