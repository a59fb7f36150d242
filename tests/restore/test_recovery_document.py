"""RECOVERY.md: its commands, as printed, bring everything back, with Nightdrop and without."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from house import HOST, House
from trees import describe, differences

DOCUMENT = Path(__file__).parents[2] / "docs" / "RECOVERY.md"
BLOCKS = dict(
    re.findall(r'^```sh title="([^"]+)"\n(.*?)^```$', DOCUMENT.read_text(), re.DOTALL | re.MULTILINE)
)


@pytest.fixture
def rescue(house: House, tmp_path: Path) -> Path:
    """The folder that the document's commands are for, and beside it the two vaults."""
    (house.source / "etc").mkdir()
    (house.source / "etc" / "app.conf").write_text("one")
    (house.source / "data").write_bytes(os.urandom(2_000_000))
    house.backup()
    (house.source / "etc" / "app.conf").write_text("two")
    house.backup()
    folder = tmp_path / "rescue"
    folder.mkdir()
    for path in (house.key.private, house.key.certificate):
        shutil.copy(path, folder)
    shutil.copy(house.key.passphrase, folder / "passphrase")
    (folder / "memory").mkdir()
    return folder


def do(house: House, folder: Path, *titles: str) -> str:
    """Run these blocks in one shell; only places and the host's path are what they are here."""
    text = "\n".join(BLOCKS[title] for title in titles)
    places = {
        "/media/vault2": house.mirrors[1].vault,
        "/media/vault": house.mirrors[0].vault,
        "/dev/shm": folder / "memory",
        "--path /etc": f"--path {house.source}/etc",
    }
    for printed, here in places.items():
        text = text.replace(printed, str(here))
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    done = subprocess.run(
        ["sh", "-euc", text],
        cwd=folder,
        env=os.environ | {"PATH": path, "LC_ALL": "C.UTF-8"},
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        check=False,
    )
    assert done.returncode == 0, f"{text}\n{done.stdout}{done.stderr}"
    return done.stdout


def test_with_nightdrop(house: House, rescue: Path) -> None:
    assert f"{HOST}: 2 sets" in do(house, rescue, "list")
    assert "etc/app.conf" in do(house, rescue, "files")
    do(house, rescue, "paths")
    assert (rescue / "restored-etc" / "app.conf").read_text() == "two"
    for volume in (house.mirrors[0].vault / HOST).glob("*.vol1.*"):
        volume.unlink()
    do(house, rescue, "everything")
    back = rescue / "restored" / house.source.relative_to("/")
    assert differences(describe(house.source), describe(back)) == {}


def test_without_nightdrop(house: House, rescue: Path) -> None:
    [manifest] = [name for name in house.names() if "-full." in name and ".manifest." in name]
    shutil.copy(house.mirrors[0].vault / HOST / manifest, rescue / "manifest.p7m")
    (rescue / "gpgsm-openssl").write_text(BLOCKS["gpgsm-openssl"])
    do(house, rescue, "unlock", "one-file", "whole-host", "forget")
    assert "Volume 1:" in (rescue / "manifest").read_text()
    back = rescue / "restored-stock" / house.source.relative_to("/")
    assert differences(describe(house.source), describe(back)) == {}
    assert not list((rescue / "memory").iterdir())


def test_every_block_is_tested() -> None:
    tested = re.findall(r'"([a-z-]+)"', Path(__file__).read_text())
    assert set(BLOCKS) <= set(tested)
