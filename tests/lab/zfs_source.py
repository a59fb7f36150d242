"""A source on the pool that tests/lab/zfs has made."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from house import House, Key, run
from mirrors import wait_until
from snapshotting import (
    assert_a_killed_run_is_cleared_up,
    assert_one_state_and_nothing_left,
    assert_the_root_is_read_from_a_snapshot,
    configure,
)

DATASET = "nightdrop-lab/srv"


def left() -> list[str]:
    """What there is of the dataset besides itself."""
    words = ["zfs", "list", "-H", "-o", "name", "-t", "all", "-r", DATASET]
    names = subprocess.run(words, check=True, capture_output=True, text=True).stdout.splitlines()
    return [name for name in names if name != DATASET]


@pytest.fixture
def on_zfs(house: House, tmp_path: Path) -> Iterator[House]:
    """A house whose source is a dataset."""
    house.source = tmp_path / "srv"
    subprocess.run(["zfs", "create", "-o", f"mountpoint={house.source}", DATASET], check=True)
    yield house
    house.close()
    wait_until(destroyed, "nothing holds the dataset", 20)


def destroyed() -> bool:
    """Whether the dataset could be destroyed: what was just unmounted is busy for a moment."""
    return subprocess.run(["zfs", "destroy", "-r", DATASET], check=False).returncode == 0


def test_one_state_and_nothing_left(on_zfs: House, tmp_path: Path) -> None:
    assert_one_state_and_nothing_left(on_zfs, tmp_path, "zfs", left)


def test_killed_and_run_again(on_zfs: House, tmp_path: Path) -> None:
    assert_a_killed_run_is_cleared_up(on_zfs, tmp_path, "zfs", left)


def test_a_folder_in_a_dataset_is_not_its_mount_point(on_zfs: House) -> None:
    on_zfs.source = on_zfs.source / "folder"
    on_zfs.source.mkdir()
    configure(on_zfs, "zfs", "true")
    done = run("backup", "--config", on_zfs.config, expect=3)
    assert f"{on_zfs.source} is not where a ZFS dataset is mounted" in done.stdout


def test_the_root_file_system(on_zfs: House, tmp_path: Path, admin_key: Key) -> None:
    """zfs-fuse mounts where it is itself, so the run has to be there, too. Unlike a machine's own /, this
    one has a mount above it, which must not be shared (pivot_root(2)).
    """
    subprocess.run(["mount", "--make-private", on_zfs.source], check=True)
    assert_the_root_is_read_from_a_snapshot(on_zfs.source, tmp_path, admin_key, "zfs", apart=())
    assert left() == []
