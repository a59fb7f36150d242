"""Snapshots: read in place of the folder, stored under its paths, and gone afterwards, in any case."""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from nightdrop.configuration import load
from nightdrop.errors import ConfigurationError
from nightdrop_client.sources.configuration import load_sources

from house import House, Key, run
from snapshotting import (
    assert_a_killed_run_is_cleared_up,
    assert_one_state_and_nothing_left,
    assert_the_root_is_read_from_a_snapshot,
    configure,
)


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


@pytest.mark.parametrize("note", ["", "[]", '{"kind": "none", "what": "x", "name": "y"}'])
def test_a_note_that_is_damaged_ends_no_run(house: House, note: str) -> None:
    (house.source / "file").write_text("x")
    (house.state / "views").mkdir(parents=True)
    (house.state / "views" / "note.json").write_text(note)
    said = run("backup", "--config", house.config, expect=3).stdout
    assert re.search(
        "^warning: the note .*/note.json was damaged: a snapshot called nightdrop-", said, re.M
    )
    house.let_a_second_pass()
    house.backup()


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


def test_the_root_file_system(btrfs: House, tmp_path: Path, admin_key: Key) -> None:
    assert_the_root_is_read_from_a_snapshot(btrfs.source, tmp_path, admin_key, "btrfs")
    assert subvolumes(btrfs) == []


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
