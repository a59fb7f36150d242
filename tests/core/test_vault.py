"""A vault's files are reached as they are asked for, whatever lies in their place."""

import os
from itertools import islice
from pathlib import Path

import pytest

from nightdrop.errors import VaultError
from nightdrop.vault import Ends, FolderVault, Wanted

SIZES = (0, 1, 7, 8, 11, 12, 13, 5000)


@pytest.fixture
def many(tmp_path: Path) -> dict[str, bytes]:
    """More files than are ever open at a time, by name: of host `web`."""
    (tmp_path / "web").mkdir()
    found = {f"{number:03}": os.urandom(SIZES[number % len(SIZES)]) for number in range(200)}
    for name, octets in found.items():
        (tmp_path / "web" / name).write_bytes(octets)
    return found


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


def test_ends_come_in_the_order_they_were_asked_for(tmp_path: Path, many: dict[str, bytes]) -> None:
    before = descriptors()
    wanted = [Wanted(name, 8, 4) for name in reversed(many)]
    for each, ends in zip(wanted, FolderVault(tmp_path).ends("web", wanted), strict=True):
        octets = many[each.name]
        assert ends == Ends(octets[:8], octets[-4:], len(octets))
    wanted = [Wanted(name, 9) for name in many]
    for each, ends in zip(wanted, FolderVault(tmp_path).ends("web", wanted), strict=True):
        assert ends == Ends(many[each.name][:9], b"", len(many[each.name]))
    assert descriptors() == before


def test_what_is_no_file_costs_no_other_its_ends(tmp_path: Path, many: dict[str, bytes]) -> None:
    os.mkfifo(tmp_path / "web" / "pipe")
    (tmp_path / "web" / "link").symlink_to("001")
    (tmp_path / "web" / "folder").mkdir()
    before = descriptors()
    names = ["pipe", "001", "link", "nothing", "folder", *many]
    for name, ends in zip(
        names, FolderVault(tmp_path).ends("web", [Wanted(name, 8, 4) for name in names]), strict=True
    ):
        if name in many:
            assert isinstance(ends, Ends)
        else:
            assert isinstance(ends, VaultError)
            assert f"cannot read web/{name}: " in ends.message
    [ends] = FolderVault(tmp_path).ends("nobody", [Wanted("001", 8)])
    assert isinstance(ends, VaultError)
    assert descriptors() == before


def test_nothing_stays_open_of_what_nobody_waits_for(tmp_path: Path, many: dict[str, bytes]) -> None:
    before = descriptors()
    ends = FolderVault(tmp_path).ends("web", [Wanted(name, 8, 4) for name in many])
    assert len(list(islice(ends, 3))) == 3
    assert descriptors() > before + 3
    del ends
    assert descriptors() == before
