"""The two ways in which duplicity's own restart of a killed run loses data, with exit 0: stock duplicity
does, and a run of ours does not.
"""

import os
import subprocess
import sys
from fnmatch import fnmatch
from pathlib import Path

import pytest

from house import HOST, House
from mirrors import NIGHTDROP
from moments import Moments, kill_all, start
from trees import describe, differences

DUPLICITY = Path(sys.executable).with_name("duplicity")


class Stock:
    """Stock duplicity, without encryption, with one folder as its other end."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.source, self.store, self.archive = (root / n for n in ("tree", "store", "archive"))
        self.source.mkdir()
        self.store.mkdir()
        (self.archive / "x").mkdir(parents=True)
        self.metadata = self.archive / "x"

    @property
    def command(self) -> list[object]:
        options = ["--no-encryption", "--volsize", "1", "--archive-dir", self.archive, "--name", "x"]
        return [
            DUPLICITY,
            "backup",
            *options,
            "--no-print-statistics",
            self.source,
            f"file://{self.store}",
        ]

    def backup(self) -> None:
        subprocess.run(list(map(str, self.command)), check=True, capture_output=True)

    def be_killed_before_the_manifest_has_its_name(self) -> None:
        """The moment is shorter than a signal takes, so it is set back to: this rename comes last."""
        self.backup()
        [manifest] = self.metadata.glob("duplicity-inc.*.manifest")
        manifest.rename(f"{manifest}.part")

    def restore(self, to: Path) -> Path:
        options = ["--no-encryption", "--archive-dir", self.archive, "--name", "x"]
        command = [DUPLICITY, "restore", *options, f"file://{self.store}", to]
        subprocess.run(list(map(str, command)), check=True, capture_output=True)
        return to


class Ours:
    """The same with a house."""

    def __init__(self, house: House) -> None:
        self._house = house
        self.source = house.source
        self.command: list[object] = [*NIGHTDROP, "backup", "--config", house.config]
        self.store = house.mirrors[0].vault / HOST
        self.metadata = house.state / "archive" / "backup"

    def backup(self) -> None:
        self._house.backup()

    def be_killed_before_the_manifest_has_its_name(self) -> None:
        """Here the log tells whether a set is finished, so all the moments from there to then are one."""
        kill_when(self, self.metadata, "-duplicity-new-signatures.*.part")

    def restore(self, to: Path) -> Path:
        return self._house.restore(to)


@pytest.fixture(params=["stock duplicity", "nightdrop"])
def client(request: pytest.FixtureRequest, tmp_path: Path) -> Stock | Ours:
    if request.param == "nightdrop":
        return Ours(request.getfixturevalue("house"))
    (tmp_path / "stock").mkdir()
    return Stock(tmp_path / "stock")


def kill_when(client: Stock | Ours, folder: Path, pattern: str) -> None:
    """Run a backup, and kill it at the moment there that is called so."""
    with Moments([folder]) as moments:
        process = start(client.command)
        for name in moments.names_until_end_of(process):
            if fnmatch(name, pattern):
                break
        assert kill_all(process), "it ended before that moment"


def lost(client: Stock | Ours, to: Path) -> set[bytes]:
    return set(differences(describe(client.source), describe(client.restore(to))))


def test_changed_before_the_point_of_resumption(client: Stock | Ours, tmp_path: Path) -> None:
    """duplicity writes a signature of the new content, and never stores that content."""
    first = client.source / "a first file"
    first.write_text("old")
    (client.source / "large").write_bytes(os.urandom(12_000_000))
    kill_when(client, client.store, "*.vol2.*")
    first.write_text("new")
    os.utime(first, (1_700_000_000, 1_700_000_000))
    client.backup()
    client.backup()
    assert lost(client, tmp_path / "to") == ({b"a first file"} if isinstance(client, Stock) else set())


def test_killed_before_the_manifest_has_its_name(client: Stock | Ours, tmp_path: Path) -> None:
    """duplicity goes on with its last volume, and finds that nothing has changed."""
    (client.source / "file").write_text("x")
    client.backup()
    (client.source / "new").write_bytes(os.urandom(5_000_000))
    client.be_killed_before_the_manifest_has_its_name()
    client.backup()
    assert lost(client, tmp_path / "to") - {b"."} == ({b"new"} if isinstance(client, Stock) else set())
