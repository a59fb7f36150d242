"""The two ways in which duplicity's own restart of a killed run loses data, with exit 0: stock duplicity
does, and a run of ours does not.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from gates import gate_to
from house import House, Key
from mirrors import NIGHTDROP, wait_until
from moments import kill_all, start
from trees import describe, differences

DUPLICITY = Path(sys.executable).with_name("duplicity")

STUCK = """
import pathlib, signal, sys
from duplicity.backends.localbackend import LocalBackend
put, hangs = LocalBackend._put, pathlib.Path(sys.argv.pop(1))
def take(self, source_path, remote_filename):
    if b".vol3." in remote_filename:
        hangs.touch()
        signal.pause()
    put(self, source_path, remote_filename)
LocalBackend._put = take
from duplicity.__main__ import dup_run
dup_run()
"""
"""Stock duplicity whose other end takes two volumes, and hangs at the third: then it makes a file."""


class Stock:
    """Stock duplicity, without encryption, with one folder as its other end."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.source, self.store, self.archive = (root / n for n in ("tree", "store", "archive"))
        self.source.mkdir()
        self.store.mkdir()
        self.metadata = self.archive / "x"
        self.metadata.mkdir(parents=True)
        options = ["--no-encryption", "--volsize", "1", "--archive-dir", self.archive, "--name", "x"]
        places = ["--no-print-statistics", self.source, f"file://{self.store}"]
        self.words = ["backup", *map(str, [*options, *places])]

    def backup(self) -> None:
        subprocess.run([DUPLICITY, *self.words], check=True, capture_output=True)

    def be_killed_at_the_third_volume(self) -> None:
        hangs = self.root / "hangs"
        process = start([sys.executable, "-c", STUCK, hangs, *self.words])
        wait_until(hangs.exists, "the third volume is to be taken")
        assert kill_all(process), "it ended before that moment"

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
    """The same with a house, whose mirrors can be kept from hearing of a file. That needs its name, so
    there is no TLS.
    """

    def __init__(self, house: House) -> None:
        self._house = house
        self._bundle = house.bundle.read_text()
        self.source = house.source

    def backup(self) -> None:
        self._house.backup()

    def be_killed_at_the_third_volume(self) -> None:
        self._be_killed_at(b".vol3.")

    def be_killed_before_the_manifest_has_its_name(self) -> None:
        """Here the log tells whether a set is finished, so all the moments from there to then are one."""
        self._be_killed_at(b".manifest.")

    def _be_killed_at(self, name: bytes) -> None:
        """Run a backup, and kill it when it wants to send both mirrors a file of such a name."""
        with ExitStack() as stack:
            gates, text = [], self._bundle
            for mirror in self._house.mirrors:
                port, gate = stack.enter_context(gate_to(mirror.port, name))
                text = text.replace(f":{mirror.port}", f":{port}")
                gates.append(gate)
            self._house.bundle.write_text(text)
            process = start([*NIGHTDROP, "backup", "--config", self._house.config])
            for gate in gates:
                gate.wait_until_reached()
            assert kill_all(process), "it ended before that moment"
        self._house.bundle.write_text(self._bundle)

    def restore(self, to: Path) -> Path:
        return self._house.restore(to)


@pytest.fixture(params=["stock duplicity", "nightdrop"])
def client(request: pytest.FixtureRequest, tmp_path: Path, admin_key: Key) -> Iterator[Stock | Ours]:
    if request.param == "stock duplicity":
        yield Stock(tmp_path)
        return
    house = House(tmp_path, admin_key, tls=False)
    house.start()
    try:
        yield Ours(house)
    finally:
        house.close()


def lost(client: Stock | Ours, to: Path) -> set[bytes]:
    return set(differences(describe(client.source), describe(client.restore(to))))


def test_changed_before_the_point_of_resumption(client: Stock | Ours, tmp_path: Path) -> None:
    """duplicity writes a signature of the new content, and never stores that content."""
    first = client.source / "a first file"
    first.write_text("old")
    (client.source / "large").write_bytes(os.urandom(6_000_000))
    client.be_killed_at_the_third_volume()
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
