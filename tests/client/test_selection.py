"""What is left out: by a file that lies there, and by where a file system is mounted."""

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from house import House


def restored(house: House, to: Path) -> set[str]:
    """The names that come back, from the source's folder."""
    house.backup("--full")
    base = house.restore(to)
    return {os.path.relpath(path, base) for path in base.rglob("*") if not path.is_dir()}


def test_folders_marked_as_not_for_backups(house: House, tmp_path: Path) -> None:
    for folder, mark in (("cache", "CACHEDIR.TAG"), ("scratch", ".nobackup"), ("kept", "file")):
        (house.source / folder).mkdir()
        (house.source / folder / mark).touch()
        (house.source / folder / "data").write_text("x")
    folders = f'include = ["{house.source}"]\nexclude_if_present = ["CACHEDIR.TAG", ".nobackup"]'
    house.configure('volume_size = "1M"', folders=folders)
    assert restored(house, tmp_path / "to") == {"kept/file", "kept/data"}


# With what the kernel escapes, and with what parts words or lines in Python alone.
_DISK = "a disk\xa0\t\\\x0c\x85 [1]"


@pytest.fixture
def mounted(house: House) -> Iterator[Path]:
    """A file system below the source, at a path with an odd name."""
    point = house.source / _DISK
    point.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", point], check=True)
    try:
        (point / "on disk").write_text("x")
        (point / "sub").mkdir()
        (point / "sub" / "deep").write_text("x")
        (house.source / "here").write_text("x")
        yield point
    finally:
        subprocess.run(["umount", point], check=True)


def test_one_file_system_leaves_out_what_is_mounted(house: House, mounted: Path, tmp_path: Path) -> None:
    house.configure(folders=f'include = ["{house.source}"]')
    everything = {"here", f"{_DISK}/on disk", f"{_DISK}/sub/deep"}
    assert restored(house, tmp_path / "all") == everything
    only = "one_file_system = true"
    house.configure(folders=f'include = ["{house.source}"]\n{only}')
    assert restored(house, tmp_path / "one") == {"here"}
    assert (house.restore(tmp_path / "again") / _DISK).is_dir()
    house.configure(folders=f'include = ["{house.source}", {json.dumps(str(mounted))}]\n{only}')
    assert restored(house, tmp_path / "named") == everything
    house.configure(folders=f'include = ["{house.source}", {json.dumps(f"{mounted}/sub")}]\n{only}')
    assert restored(house, tmp_path / "within") == {"here", f"{_DISK}/sub/deep"}


def test_a_mark_is_a_file_name(house: House) -> None:
    from house import complaint, run

    house.configure(folders=f'include = ["{house.source}"]\nexclude_if_present = ["a/b"]')
    error, _ = complaint(run("backup", "--config", house.config, expect=2))
    assert "`folders.exclude_if_present`: expected names of files" in error
