"""A source on the logical volumes that tests/lab/lvm has made: one with ext4, and a thin one with XFS."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from house import House, Key
from snapshotting import (
    assert_a_killed_run_is_cleared_up,
    assert_one_state_and_nothing_left,
    assert_the_root_is_read_from_a_snapshot,
)


def left() -> list[str]:
    """The snapshots that there are."""
    words = ["lvs", "--noheadings", "--options", "lv_name"]
    names = subprocess.run(words, check=True, capture_output=True, text=True).stdout.split()
    return [name for name in names if name.startswith("nightdrop-")]


@pytest.fixture(params=["plain", "thin"])
def on_lvm(house: House, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[House]:
    """A house whose source is a logical volume."""
    house.source = tmp_path / "srv"
    house.source.mkdir()
    subprocess.run(["mount", f"/dev/lab/{request.param}", house.source], check=True)
    yield house
    house.close()
    subprocess.run(["umount", house.source], check=True)


def test_one_state_and_nothing_left(on_lvm: House, tmp_path: Path) -> None:
    assert_one_state_and_nothing_left(on_lvm, tmp_path, "lvm", left)


def test_killed_and_run_again(on_lvm: House, tmp_path: Path) -> None:
    assert_a_killed_run_is_cleared_up(on_lvm, tmp_path, "lvm", left)


def test_the_root_file_system(on_lvm: House, tmp_path: Path, admin_key: Key) -> None:
    assert_the_root_is_read_from_a_snapshot(on_lvm.source, tmp_path, admin_key, "lvm")
    assert left() == []
