"""One real backup for all tests that restore: a full and an incremental on two mirrors, made once.

Each test gets a copy of both vaults, to damage as it likes; the source is only to be read.
"""

import copy
import os
import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from house import House, Key

SEED = 7


@pytest.fixture(scope="session")
def made_once(tmp_path_factory: pytest.TempPathFactory, admin_key: Key) -> Iterator[House]:
    house = House(tmp_path_factory.mktemp("chain"), admin_key)
    octets = random.Random(SEED).randbytes
    make_tree(house.source, octets)
    house.start()
    try:
        house.backup()
        change_tree(house.source, octets)
        house.backup()
    finally:
        house.close()
    yield house


@pytest.fixture
def chain(made_once: House, tmp_path: Path) -> House:
    """The house after its two backups, with vaults that are this test's own; nothing runs."""
    house = copy.copy(made_once)
    house.root = tmp_path
    house.mirrors = [copy.copy(mirror) for mirror in made_once.mirrors]
    for mirror in house.mirrors:
        mirror.vault = shutil.copytree(mirror.vault, tmp_path / mirror.name / "vault")
    return house


def make_tree(source: Path, octets: Callable[[int], bytes]) -> None:
    """Files that go on from volume to volume, and what may be dangerous to restore."""
    for name in ("a", "m", "z"):
        (source / name).mkdir()
        for number in range(30):
            (source / name / f"{number:02}").write_bytes(octets(20_000))
        (source / name / "link").symlink_to("00")
        (source / name / "deep" / "er").mkdir(parents=True)
        (source / name / "deep" / "er" / "file").write_bytes(octets(1000))
    (source / "b large").write_bytes(octets(2_500_000))
    (source / "n large").write_bytes(octets(1_200_000))
    (source / "folder").mkdir(mode=0o750)
    (source / "folder" / "file").write_text("one")
    os.link(source / "folder" / "file", source / "folder" / "hard link")
    (source / "folder" / "one.conf").write_text("one")
    (source / "other\x1b[31m").write_text("x")
    (source / "program").write_text("#!/bin/sh\n")
    (source / "program").chmod(0o4755)
    os.mknod(source / "device", 0o020600, os.makedev(1, 3))


def change_tree(source: Path, octets: Callable[[int], bytes]) -> None:
    with (source / "n large").open("r+b") as file:
        file.seek(600_000)
        file.write(octets(300_000))
    for number in range(20):
        (source / "a" / f"{number:02}").write_bytes(octets(40_000))
    (source / "c new").write_bytes(octets(1_500_000))
    (source / "m" / "05").unlink()
    (source / "z" / "link").unlink()
    (source / "z" / "07").write_bytes(octets(30_000))
    (source / "folder" / "file").write_text("two")
    (source / "folder" / "new.conf").write_text("new")
