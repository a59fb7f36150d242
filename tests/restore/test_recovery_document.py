"""RECOVERY.md: its commands, as printed, bring everything back, with Nightdrop and without."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from restore.forging import member, seal, tar
from restore.test_stock_tools import without_what_duplicity_loses

from house import HOST, House, run
from trees import describe, differences

DOCUMENT = Path(__file__).parents[2] / "docs" / "RECOVERY.md"
BLOCKS = dict(
    re.findall(r'^```sh title="([^"]+)"\n(.*?)^```$', DOCUMENT.read_text(), re.DOTALL | re.MULTILINE)
)


@pytest.fixture
def rescue(chain: House, tmp_path: Path) -> Path:
    """The folder that the document's commands are for, and beside it the two vaults."""
    folder = tmp_path / "rescue"
    folder.mkdir()
    for path in (chain.key.private, chain.key.certificate):
        shutil.copy(path, folder)
    shutil.copy(chain.key.passphrase, folder / "passphrase")
    (folder / "memory").mkdir()
    return folder


def do(house: House, folder: Path, *titles: str, expect: int = 0) -> str:
    """Run these blocks in one shell; only places and the host's path are what they are here."""
    text = "\n".join(BLOCKS[title] for title in titles)
    places = {
        "/media/vault2": house.mirrors[1].vault,
        "/media/vault": house.mirrors[0].vault,
        "/dev/shm": folder / "memory",
        "--path /etc": f"--path {house.source}/folder",
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
    assert done.returncode == expect, f"{text}\n{done.stdout}{done.stderr}"
    return done.stdout


def test_with_nightdrop(chain: House, rescue: Path) -> None:
    router = chain.mirrors[0].vault / "router1"
    router.mkdir()
    content = tar([(member("etc/config/network"), b"config")])
    seal(router / "sysupgrade-full.20260102T030405Z.tar.p7m", chain.key, content)
    assert f"{HOST}: 2 sets" in do(chain, rescue, "list")
    assert "folder/one.conf" in do(chain, rescue, "files")
    assert "all as they should be" in do(chain, rescue, "verify")
    do(chain, rescue, "paths")
    assert (rescue / "restored-etc" / "file").read_text() == "two"
    do(chain, rescue, "router")
    unpacked = rescue / "router" / "sysupgrade-full.20260102T030405Z"
    assert (unpacked / "etc/config/network").read_bytes() == b"config"
    for volume in (chain.mirrors[0].vault / HOST).glob("*.vol1.*"):
        volume.unlink()
    do(chain, rescue, "everything", expect=3)
    back = rescue / "restored" / chain.source.relative_to("/")
    assert set(differences(describe(chain.source), describe(back))) == {b"device", b"program"}


def test_without_nightdrop(chain: House, rescue: Path) -> None:
    [manifest] = [name for name in chain.names() if "-full." in name and ".manifest." in name]
    shutil.copy(chain.mirrors[0].vault / HOST / manifest, rescue / "manifest.p7m")
    (rescue / "gpgsm-openssl").write_text(BLOCKS["gpgsm-openssl"])
    do(chain, rescue, "unlock", "one-file", "whole-host", "forget")
    assert "Volume 1:" in (rescue / "manifest").read_text()
    back = rescue / "restored-stock" / chain.source.relative_to("/")
    there = without_what_duplicity_loses(describe(chain.source))
    assert differences(there, without_what_duplicity_loses(describe(back))) == {}
    assert not list((rescue / "memory").iterdir())


@pytest.mark.parametrize("way", ["read-paper", "read-paper-stock"])
def test_from_paper(chain: House, rescue: Path, way: str) -> None:
    """The page's lines, in a file as they are typed; scanning them is tested with the page."""
    page = rescue / "paper.html"
    run("key", "paper", chain.key.private, "--passphrase-file", chain.key.passphrase, "-o", page)
    lines = re.findall(r"<li>([KC]\d{3} [^<]*)</li>", page.read_text())
    (rescue / "lines").write_text("\n".join(lines) + "\n")
    for name in ("key.pem", "certificate.pem"):
        (rescue / name).unlink()
    [manifest] = (chain.mirrors[0].vault / HOST).glob("*-full.*.manifest.p7m")
    shutil.copy(manifest, rescue / "manifest.p7m")
    do(chain, rescue, way, "unlock", "one-file")
    assert "Volume 1:" in (rescue / "manifest").read_text()


def test_every_block_is_tested() -> None:
    """All but the scanner's, which restore/test_paper.py drives with a picture."""
    tested = re.findall(r'"([a-z-]+)"', Path(__file__).read_text())
    assert set(BLOCKS) - {"scan"} <= set(tested)
    assert BLOCKS["scan"].startswith("zbarimg -q --raw ")
