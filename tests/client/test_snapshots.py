"""Snapshots: read in place of the folder, stored under its paths, and gone afterwards, in any case."""

import json
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from nightdrop.configuration import load
from nightdrop.errors import ConfigurationError
from nightdrop_client.sources.configuration import load_sources

from house import House, Key, run
from mirrors import NIGHTDROP
from snapshotting import assert_a_killed_run_is_cleared_up, assert_one_state_and_nothing_left, configure


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A btrfs of its own, on a loop device."""
    place, image = tmp_path / "disk", tmp_path / "image"
    place.mkdir()
    with image.open("wb") as file:
        file.truncate(150_000_000)
    subprocess.run(["mkfs.btrfs", "-q", image], check=True)
    subprocess.run(["mount", "-o", "loop", image, place], check=True)
    yield place
    subprocess.run(["umount", "--recursive", "--lazy", place], check=True)


@pytest.fixture
def btrfs(disk: Path, tmp_path: Path, admin_key: Key) -> Iterator[House]:
    """A house whose source is a btrfs subvolume."""
    house = House(tmp_path, admin_key)
    try:
        house.source.rmdir()
        house.source = disk / "srv"
        subprocess.run(["btrfs", "-q", "subvolume", "create", house.source], check=True)
        house.start()
        yield house
    finally:
        house.close()


def subvolumes(house: House) -> list[str]:
    """The subvolumes that there are besides the source."""
    listed = subprocess.run(
        ["btrfs", "subvolume", "list", house.source], check=True, capture_output=True, text=True
    )
    return [line.split()[-1] for line in listed.stdout.splitlines() if line.split()[-1] != "srv"]


def test_one_state_and_nothing_left(btrfs: House, tmp_path: Path) -> None:
    assert_one_state_and_nothing_left(btrfs, tmp_path, "btrfs", lambda: subvolumes(btrfs))


def test_what_is_mounted_below_is_there_and_the_state_is_written(btrfs: House, tmp_path: Path) -> None:
    btrfs.state = btrfs.source / "state"
    (btrfs.source / "mounted").mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "none", btrfs.source / "mounted"], check=True)
    (btrfs.source / "mounted" / "inside").write_text("inside")
    configure(btrfs, "btrfs", f"echo after >{btrfs.source}/new")
    assert btrfs.backup()["failed_sources"] == {}
    restored = btrfs.restore(tmp_path / "to")
    assert sorted(path.name for path in restored.iterdir()) == ["mounted"]
    assert (restored / "mounted" / "inside").read_text() == "inside"
    assert subvolumes(btrfs) == []


def test_kill_9_leaves_a_snapshot_and_the_next_run_releases_it(btrfs: House, tmp_path: Path) -> None:
    assert_a_killed_run_is_cleared_up(btrfs, tmp_path, "btrfs", lambda: subvolumes(btrfs))


def test_without_a_snapshot_the_folder_is_read_as_it_is_and_that_is_said(
    house: House, tmp_path: Path
) -> None:
    """A plain folder is not what any kind of snapshot can be taken of."""
    kinds = ("btrfs", "lvm", "zfs")
    tables = ""
    for kind in kinds:
        (house.source / kind).mkdir()
        (house.source / kind / "file").write_text(kind)
        tables += f'\n[[snapshots]]\nfolder = "{house.source / kind}"\nkind = "{kind}"'
    house.configure(folders=f'include = ["{house.source}"]{tables}')
    done = run("backup", "--config", house.config, expect=3)
    for kind, why in zip(
        kinds, ("is not a btrfs subvolume", "is not where a logical", "zfs"), strict=True
    ):
        assert re.search(f"not whole in this backup: {house.source / kind}: .*{why}", done.stdout)
    restored = house.restore(tmp_path / "to", expect=3)
    assert [(restored / kind / "file").read_text() for kind in kinds] == list(kinds)


def test_the_root_file_system(disk: Path, tmp_path: Path, admin_key: Key) -> None:
    """/ is a btrfs subvolume to a run within it; what it needs of this machine is mounted below."""
    (tmp_path / "house").mkdir()
    house = House(tmp_path / "house", admin_key)
    root = disk / "root"
    try:
        subprocess.run(["btrfs", "-q", "subvolume", "create", root], check=True)
        (root / "srv").mkdir()
        (root / "srv" / "file").write_text("before")
        command = ["sh", "-c", "echo after >/srv/file; echo after >/srv/new"]
        house.config.write_text(
            f'bundle = "bundle.toml"\nstate = "{house.state}"\n[folders]\ninclude = ["/srv"]\n'
            '[[snapshots]]\nfolder = "/"\nkind = "btrfs"\n'
            f'[[commands]]\nname = "meanwhile"\ncommand = {json.dumps(command)}\n'
        )
        house.start()
        assert within(root, house, "backup")["failed_sources"] == {}
        assert (root / "srv" / "new").read_text() == "after\n", "the command saw / itself"
        assert (root / "srv" / "file").read_text() == "after\n"
        house.source = Path("/srv")
        restored = house.restore(tmp_path / "to")
        assert {path.name: path.read_text() for path in restored.iterdir()} == {"file": "before"}
        assert sorted(path.name for path in root.iterdir() if path.name.startswith(".")) == []
    finally:
        house.close()


def within(root: Path, house: House, *words: str) -> dict[str, object]:
    """Run `nightdrop` with that folder for its /, and this machine's programs."""
    places = [
        Path(place)
        for place in ("/dev", "/proc", "/sys", "/etc", "/usr", "/bin", "/lib", "/lib64", "/sbin")
    ]
    places += [Path(sys.prefix), Path(sys.base_prefix), Path(__file__).parents[2], house.root]
    script = f"mount --bind {root} {root}; cd {root}\n"
    for place in sorted({place for place in places if place.is_dir()}):
        script += f"mkdir -p .{place}; mount --rbind {place} .{place}\n"
    script += "pivot_root . .; umount --lazy .; cd /\n"
    script += f"exec {shlex.join([*NIGHTDROP, *words, '--json', '--config', str(house.config)])}"
    command = ["unshare", "--mount", "--propagation", "private", "sh", "-euc", script]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    facts: dict[str, object] = json.loads(done.stdout)
    return facts


@pytest.mark.parametrize(
    ("lines", "error"),
    [
        ('folder = "/srv"', 'key `snapshots[1].kind`: expected "zfs" or "btrfs" or "lvm"'),
        ('kind = "zfs"\nfolder = "srv"', "key `snapshots[1].folder`: expected the absolute path"),
        ('kind = "zfs"\nfolder = "/srv/"', "key `snapshots[1].folder`: expected the absolute path"),
        ('kind = "lvm"\nfolder = "/srv"\nroom = "much"', "key `snapshots[1].room`: expected a size"),
    ],
)
def test_mistakes_are_named(tmp_path: Path, lines: str, error: str) -> None:
    path = tmp_path / "client.toml"
    path.write_text(f"[[snapshots]]\n{lines}\n")
    with pytest.raises(ConfigurationError, match=re.escape(error)):
        load_sources(load(path, "client configuration", "a hint"))
