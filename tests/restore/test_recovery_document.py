"""RECOVERY.md: its commands, as printed, bring everything back, with Nightdrop and without."""

import gzip
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import nullcontext, suppress
from pathlib import Path

import pytest

from core.stock import PKCS12_ATTEMPTS
from restore.forging import member, tar
from restore.test_stock_tools import DUPLICITY, without_what_duplicity_loses

from house import HOST, House, run
from trees import describe, differences

DOCUMENT = Path(__file__).parents[2] / "docs" / "RECOVERY.md"
LAB = Path(__file__).parents[1] / "lab" / "recovery"
BLOCKS = dict(
    re.findall(r'^```sh title="([^"]+)"\n(.*?)^```$', DOCUMENT.read_text(), re.DOTALL | re.MULTILINE)
)


@pytest.fixture
def rescue(chain: House, tmp_path: Path) -> Iterator[Path]:
    """The folder that the document's commands are for, and beside it the two vaults."""
    folder = tmp_path / "rescue"
    folder.mkdir()
    for path in (chain.key.private, chain.key.certificate):
        shutil.copy(path, folder)
    shutil.copy(chain.key.passphrase, folder / "passphrase")
    # A path that is short enough for the socket of gpgsm's agent.
    with tempfile.TemporaryDirectory(prefix="memory-", dir="/tmp") as memory:
        (folder / "memory").symlink_to(memory)
        yield folder


def do(house: House, folder: Path, *titles: str, expect: int = 0) -> str:
    """Run these blocks in one shell; only places and the host's path are what they are here."""
    text = "\n".join(BLOCKS[title] for title in titles)
    places = {
        "/media/vault2": house.mirrors[1].vault,
        "/media/vault": house.mirrors[0].vault,
        "/dev/shm": (folder / "memory").resolve(),
        "stock/bin/duplicity": DUPLICITY,
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


def make_router(chain: House) -> None:
    """A router's configuration, in volumes that are cut anywhere."""
    router = chain.mirrors[0].vault / "router1"
    router.mkdir()
    content = gzip.compress(tar([(member("etc/config/network"), b"config")]))
    for number, start in enumerate(range(0, len(content), 10), 1):
        name = f"sysupgrade-full.20260102T030405Z.vol{number}.tar.gz.p7m"
        words = ["openssl", "cms", "-encrypt", "-binary", "-aes-256-gcm", "-outform", "DER"]
        subprocess.run(
            [*words, "-out", router / name, chain.key.certificate],
            input=content[start : start + 10],
            check=True,
        )
    assert number > 10


def test_with_nightdrop(chain: House, rescue: Path) -> None:
    make_router(chain)
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
    make_router(chain)
    (rescue / "gpgsm-openssl").write_text(BLOCKS["gpgsm-openssl"])
    do(chain, rescue, "unlock", "one-file", "whole-host", "router-stock", "forget")
    assert (rescue / "router-stock" / "etc/config/network").read_bytes() == b"config"
    assert "Volume 1:" in (rescue / "manifest").read_text()
    back = rescue / "restored-stock" / chain.source.relative_to("/")
    there = without_what_duplicity_loses(describe(chain.source))
    assert differences(there, without_what_duplicity_loses(describe(back))) == {}
    assert not list((rescue / "memory").iterdir())


def test_a_large_file(chain: House, rescue: Path) -> None:
    """With gpgsm, which opens what is too large for openssl (tests/lab/large tries that): here a small
    one, as a script with openssl dropped it.
    """
    router = chain.mirrors[0].vault / "router1"
    router.mkdir()
    name = "disk-full.20260102T030405Z.img.p7m"
    words = ["openssl", "smime", "-encrypt", "-binary", "-aes256", "-stream", "-outform", "DER"]
    image = os.urandom(3_000_000)
    subprocess.run([*words, "-out", router / name, chain.key.certificate], input=image, check=True)
    for attempt in range(PKCS12_ATTEMPTS):
        with suppress(AssertionError) if attempt < PKCS12_ATTEMPTS - 1 else nullcontext():
            do(chain, rescue, "unlock", "large-file")
            break
        shutil.rmtree(rescue / "memory" / "gnupg")
    assert (rescue / "plain").read_bytes() == image
    do(chain, rescue, "forget")
    assert not list((rescue / "memory").iterdir())
    assert not (rescue / "passphrase").exists()


@pytest.mark.parametrize("way", ["read-paper", "read-paper-stock"])
def test_from_paper(chain: House, rescue: Path, way: str) -> None:
    """The page, printed and photographed."""
    page = rescue / "paper.pdf"
    run("key", "paper", chain.key.private, "--passphrase-file", chain.key.passphrase, "-o", page)
    subprocess.run(["pdftoppm", "-r", "150", "-mono", "-png", page, rescue / "page"], check=True)
    for name in ("key.pem", "certificate.pem"):
        (rescue / name).unlink()
    do(chain, rescue, "scan", way, "unlock", "one-file")
    assert "Volume 1:" in (rescue / "manifest").read_text()


def test_every_block_is_tested() -> None:
    """Here, or in the lab on a bare Debian: what installs."""
    here = set(re.findall(r'"([a-z-]+)"', Path(__file__).read_text()))
    lab = set(
        re.findall(r"\b[a-z-]+\b", " ".join(re.findall(r"^as_printed (.*)", LAB.read_text(), re.M)))
    )
    assert set(BLOCKS) - {"scanner", "install", "stock-tools", "stock-duplicity"} <= here
    assert set(BLOCKS) == lab
    assert DOCUMENT.read_text().count("```") == 2 * len(BLOCKS)
