"""Restoring by a signing certificate: what the host did not sign is told, before anything is written."""

import shutil
from pathlib import Path

import pytest

from check.signers import make_signer

from house import HOST, House, Key, run


@pytest.fixture(scope="module")
def signing(tmp_path_factory: pytest.TempPathFactory, admin_key: Key) -> tuple[House, Path]:
    """A house whose host signs, and its certificate."""
    folder = tmp_path_factory.mktemp("signers")
    key, certificate = make_signer(folder, HOST)
    house = House(folder, admin_key)
    house.configure(f'signing_key = "{key}"', 'volume_size = "1M"', 'patience = "5s"')
    (house.source / "one").write_text("one")
    house.start()
    try:
        house.backup()
    finally:
        house.close()
    return house, certificate


@pytest.fixture
def vaults(signing: tuple[House, Path], tmp_path: Path) -> list[Path]:
    """Copies of both vaults."""
    return [shutil.copytree(m.vault, tmp_path / m.name / "vault") for m in signing[0].mirrors]


def alter(vault: Path) -> None:
    """Whoever rules a mirror words a receipt anew."""
    [receipt] = (vault / HOST).glob("*.receipt.json")
    receipt.write_bytes(receipt.read_bytes().replace(b'"unread": 0', b'"unread": 1'))


def test_what_the_host_signed(signing: tuple[House, Path], vaults: list[Path], tmp_path: Path) -> None:
    house, certificate = signing
    words = ["--signer", certificate, *house.key.arguments]
    assert "all as they should be" in run("restore", "verify", *vaults, *words).stdout
    done = run("restore", "run", vaults[0], "--host", HOST, "--to", tmp_path / "to", *words)
    assert "did not sign" not in done.stdout


def test_what_somebody_else_signed(
    signing: tuple[House, Path], vaults: list[Path], tmp_path: Path
) -> None:
    house, _ = signing
    _, other = make_signer(tmp_path, "other")
    words = ["--signer", other, *house.key.arguments]
    done = run("restore", "verify", vaults[0], *words, expect=3)
    assert "the host did not sign it: somebody else signed it" in done.stdout
    done = run("restore", "run", vaults[0], "--host", HOST, "--to", tmp_path / "to", *words, expect=3)
    assert f"warning: {HOST} did not sign duplicity-full." in done.stdout
    assert done.stdout.index("did not sign") < done.stdout.index("restoring")


def test_a_receipt_that_was_altered(
    signing: tuple[House, Path], vaults: list[Path], tmp_path: Path
) -> None:
    house, certificate = signing
    alter(vaults[0])
    words = ["--host", HOST, "--to", tmp_path / "to", *house.key.arguments]
    assert "did not sign" not in run("restore", "run", vaults[0], *words).stdout
    words[3] = tmp_path / "again"
    done = run("restore", "run", vaults[0], *words, "--signer", certificate, expect=3)
    assert "it is of other bytes than are there" in done.stdout
    # From the mirror that did not touch it, all is well.
    words[3] = tmp_path / "once more"
    run("restore", "run", vaults[1], *words, "--signer", certificate)


def test_no_signature_and_no_certificate(signing: tuple[House, Path], vaults: list[Path]) -> None:
    house, certificate = signing
    [signature] = (vaults[0] / HOST).glob("*.p7s")
    signature.unlink()
    words = ["restore", "verify", vaults[0], *house.key.arguments]
    done = run(*words, "--signer", certificate, expect=3)
    assert "the host did not sign it: there is no signature" in done.stdout
    run(*words, "--signer", house.key.private, expect=2)
