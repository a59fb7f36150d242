"""A receipt that somebody altered, or that a disk did: with another vault, the host's own counts."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from restore.test_signers import signing, vaults

from house import HOST, House, run
from mirrors import NIGHTDROP
from processes import memory_of_all

__all__ = ["signing", "vaults"]

MOST_MEMORY = 120_000_000

Forgery = Callable[[dict[str, object], Path], bytes]


def with_files(fields: dict[str, object], **more: object) -> bytes:
    """The receipt, with something else said of each file."""
    files = fields["files"]
    assert isinstance(files, list)
    return json.dumps(fields | {"files": [file | more for file in files]}).encode()


FORGERIES: dict[str, tuple[Forgery, str]] = {
    "other sizes": (
        lambda fields, _vault: with_files(fields, size=7),
        "is not as long as its receipt says",
    ),
    "other digests": (
        lambda fields, _vault: with_files(fields, sha256="0" * 64),
        "is not what it says",
    ),
    "truncated": (
        lambda fields, _vault: json.dumps(fields).encode()[:-100],
        "its receipt is none: it is not JSON in UTF-8",
    ),
    "empty": (lambda _fields, _vault: b"", "its receipt is none: it is not JSON in UTF-8"),
    "of another set": (
        lambda fields, _vault: json.dumps(fields | {"set": "duplicity-full.20200101T000000Z"}).encode(),
        "its receipt is none: it is of another set: duplicity-full.20200101T000000Z",
    ),
    "of another host": (
        lambda fields, _vault: json.dumps(fields | {"host": "web2"}).encode(),
        "its receipt is none: it is of another host: web2",
    ),
    "a file more": (
        lambda fields, _vault: json.dumps(
            fields | {"files": [*fields["files"], fields["files"][0] | {"name": volume(fields)}]}  # type: ignore[index,misc]
        ).encode(),
        "it lacks duplicity-full.",
    ),
}


def volume(fields: dict[str, object]) -> str:
    return f"{fields['set']}.vol99.difftar.p7m"


def forge(vault: Path, forgery: Forgery) -> None:
    [receipt] = (vault / HOST).glob("*.receipt.json")
    receipt.write_bytes(forgery(json.loads(receipt.read_bytes()), vault))


@pytest.mark.parametrize("kind", FORGERIES)
def test_the_other_vault_has_the_right_one(
    signing: tuple[House, Path], vaults: list[Path], tmp_path: Path, kind: str
) -> None:
    """It is told which does not count, and why; all is restored, whichever vault is named first."""
    house, _ = signing
    forgery, why = FORGERIES[kind]
    forge(vaults[0], forgery)
    for number, given in enumerate((vaults, vaults[::-1])):
        to = tmp_path / f"to-{number}"
        words = ["--host", HOST, "--to", to, *house.key.arguments]
        done = run("restore", "run", *given, *words)
        [warning] = [line for line in done.stdout.splitlines() if line.startswith("warning: ")]
        assert f" in {vaults[0]} does not count: " in warning
        assert why in warning
        assert (to / house.source.relative_to("/") / "one").read_text() == "one"
    listed = run("restore", "list", *vaults).stdout
    assert "NOT WHOLE" not in listed
    assert why in listed


def test_words_that_nothing_contradicts(
    signing: tuple[House, Path], vaults: list[Path], tmp_path: Path
) -> None:
    """Other recipients, say: only a signature tells. Without one, there is doubt, and status 3."""
    house, certificate = signing
    forge(vaults[0], lambda fields, _vault: json.dumps(fields | {"recipients": ["0" * 64]}).encode())
    words = ["--host", HOST, *house.key.arguments, "--to"]
    done = run("restore", "run", *vaults, *words, tmp_path / "to", expect=3)
    assert "nothing tells which is the host's" in done.stdout
    done = run("restore", "run", *vaults, *words, tmp_path / "signed", "--signer", certificate)
    assert f" in {vaults[0]} does not count: it is of other bytes than are there" in done.stdout
    told = run("restore", "run", *vaults, *words, tmp_path / "json", "--signer", certificate, "--json")
    facts = json.loads(told.stdout)
    assert len(facts["passed_receipts"]) == 1
    assert facts["unsigned"] == {}


def test_a_backup_made_up_on_one_mirror(
    signing: tuple[House, Path], vaults: list[Path], tmp_path: Path
) -> None:
    """Files altered, and a receipt to fit: each vault is right in itself. The signed one counts."""
    house, certificate = signing
    [signatures] = (vaults[0] / HOST).glob("*.sigtar.p7m")
    octets = bytearray(signatures.read_bytes())
    octets[-40] ^= 1
    signatures.write_bytes(octets)
    digest = hashlib.sha256(octets).hexdigest()

    def fitting(fields: dict[str, object], _vault: Path) -> bytes:
        files = fields["files"]
        assert isinstance(files, list)
        for file in files:
            file["sha256"] = digest if file["name"] == signatures.name else file["sha256"]
        return json.dumps(fields).encode()

    forge(vaults[0], fitting)
    words = ["--host", HOST, *house.key.arguments, "--to"]
    run("restore", "run", *vaults, *words, tmp_path / "to", expect=3)
    run("restore", "run", *vaults, *words, tmp_path / "signed", "--signer", certificate)
    said = run(
        "restore", "verify", *vaults, *house.key.arguments, "--signer", certificate, expect=3
    ).stdout
    assert f"{vaults[0]}: {HOST}/{signatures.name}: " in said
    assert f"{vaults[1]}: " not in said


def test_a_receipt_that_cannot_be_read(
    signing: tuple[House, Path], vaults: list[Path], tmp_path: Path
) -> None:
    """A disk that fails, or here, something in its place that is no file, costs nothing."""
    house, _ = signing
    [receipt] = (vaults[0] / HOST).glob("*.receipt.json")
    receipt.unlink()
    receipt.mkdir()
    run("restore", "run", *vaults, "--host", HOST, "--to", tmp_path / "to", *house.key.arguments)


def test_receipts_of_any_length(signing: tuple[House, Path], vaults: list[Path], tmp_path: Path) -> None:
    """A host in an attacker's hands has many sets, whose receipts name files without end."""
    house, _ = signing
    folder = vaults[0] / HOST
    [receipt] = folder.glob("*.receipt.json")
    fields = json.loads(receipt.read_bytes())
    for day in range(1, 32):
        stem = f"duplicity-full.202001{day:02}T000000Z"
        files = [
            {"name": f"{stem}.vol{number}.difftar.p7m", "size": 1, "sha256": f"{number:064x}"}
            for number in range(1, 15_001)
        ]
        (folder / f"{stem}.manifest.p7m").touch()
        forged = json.dumps(fields | {"set": stem, "files": files})
        (folder / f"{stem}.receipt.json").write_text(forged)
    words = [*NIGHTDROP, "restore"]
    assert memory_of_all([*words, "list", vaults[0]]) < MOST_MEMORY
    given = ["--host", HOST, "--to", tmp_path / "to", *house.key.arguments]
    assert memory_of_all([*words, "run", vaults[0], *given]) < MOST_MEMORY
    # The newest is the host's own.
    assert (tmp_path / "to" / house.source.relative_to("/") / "one").read_text() == "one"
