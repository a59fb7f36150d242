"""A run that is killed: the next one succeeds and restores; no name is sent twice with other bytes."""

import hashlib
import json
import os
import random
import re
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from house import HOST, House
from mirrors import NIGHTDROP
from trees import describe, differences

KILLS = 8


@pytest.mark.slow
def test_killed_at_random_moments(house: House, tmp_path: Path) -> None:
    chance = random.Random(20261121)
    (house.source / "large").write_bytes(os.urandom(6_000_000))
    (house.source / "a").write_text("first")
    begun = time.monotonic()
    house.backup()
    usual = time.monotonic() - begun
    killed_after_a_drop = 0
    for number in range(KILLS):
        full = ["--full"] if number % 3 == 0 else []
        (house.source / "large").write_bytes(os.urandom(6_000_000))
        before = len(house.names())
        process = subprocess.Popen(
            [*NIGHTDROP, "backup", "--config", str(house.config), "--json", *full],
            stdout=subprocess.DEVNULL,
            start_new_session=True,
        )
        time.sleep(usual * chance.uniform(0.3, 1.0))
        killed = process.poll() is None
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            killed = False
        process.wait()
        killed_after_a_drop += killed and len(house.names()) > before
        # What duplicity's own restart gets wrong: a file before the point of resumption has changed.
        (house.source / "a").write_text(f"changed after kill {number}")
        (house.source / f"new-{number}").write_text("new")
        house.backup()
        restored = house.restore(tmp_path / f"restored-{number}", mirror=number % 2)
        assert differences(describe(house.source), describe(restored)) == {}, f"kill {number}"
    assert killed_after_a_drop >= 2, "the moments were not spread over the runs"
    assert_mirrors_are_honest(house)


@pytest.mark.slow
@pytest.mark.parametrize("moment", ["vol1", "vol2", "sigtar", "manifest", "supplement", "receipt"])
@pytest.mark.parametrize("kind", ["full", "inc"])
def test_killed_as_a_file_arrives(house: House, tmp_path: Path, moment: str, kind: str) -> None:
    (house.source / "large").write_bytes(os.urandom(2_500_000))
    os.link(house.source / "large", house.source / "link")
    if kind == "inc":
        house.backup()
        (house.source / "large").write_bytes(os.urandom(2_500_000))
    wanted = re.compile(rf"duplicity-(new|{kind}).*\.{moment}\.")
    process = subprocess.Popen(
        [*NIGHTDROP, "backup", "--config", str(house.config), "--json"],
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    )
    end = time.monotonic() + 60
    while not any(wanted.search(name) for name in house.names()):
        assert process.poll() is None, "the run ended before that file arrived"
        assert time.monotonic() < end
        time.sleep(0.002)
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        assert moment == "receipt", "only after the last file may the run have ended by itself"
    process.wait()
    (house.source / "a").write_text("changed")
    house.backup()
    restored = house.restore(tmp_path / "restored", mirror=1)
    assert differences(describe(house.source), describe(restored)) == {}
    assert_mirrors_are_honest(house)


def test_lock_is_held_while_duplicity_outlives_its_run(house: House) -> None:
    """Only the parent is killed: what it started must not meet a second run."""
    (house.source / "large").write_bytes(os.urandom(30_000_000))
    process = subprocess.Popen(
        [*NIGHTDROP, "backup", "--config", str(house.config), "--json"], stdout=subprocess.DEVNULL
    )
    wait_for_a_drop(house, process)
    process.kill()
    process.wait()
    deadline = time.monotonic() + 60
    while "skipped" in house.backup():
        assert time.monotonic() < deadline
    assert_mirrors_are_honest(house)


def test_sigterm_ends_the_run_and_its_duplicity(house: House) -> None:
    (house.source / "large").write_bytes(os.urandom(20_000_000))
    process = subprocess.Popen(
        [*NIGHTDROP, "backup", "--config", str(house.config), "--json"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    wait_for_a_drop(house, process)
    process.terminate()
    _, said = process.communicate(timeout=30)
    assert process.returncode == 1
    assert said.splitlines()[0] == "nightdrop: error: interrupted"
    assert house.backup()["type"] == "full"


def wait_for_a_drop(house: House, process: "subprocess.Popen[Any]", before: int = 0) -> None:
    """Until the mirror has more than `before` files, which the run has to bring about."""
    while len(house.names()) <= before:
        assert process.poll() is None, "the run ended and had dropped nothing"
        time.sleep(0.001)


def assert_mirrors_are_honest(house: House) -> None:
    """No name was refused, every receipt names what is there, and receipts name their predecessors."""
    for number in (0, 1):
        assert {status for method, _, status in house.requests(number) if method == "PUT"} <= {201, 204}
        stored = house.mirrors[number].stored(HOST)
        receipts = {
            hashlib.sha256(octets).hexdigest(): json.loads(octets)
            for name, octets in stored.items()
            if name.endswith(".receipt.json")
        }
        for receipt in receipts.values():
            assert receipt["previous"] in {"", *receipts}
            for file in receipt["files"]:
                assert hashlib.sha256(stored[file["name"]]).hexdigest() == file["sha256"]


def test_a_run_started_in_the_same_second_takes_another_name(house: House) -> None:
    """What a killed run sent stays; the next one, however soon, sends under names of its own."""
    (house.source / "large").write_bytes(os.urandom(3_000_000))
    times = set()
    for _ in range(3):
        process = subprocess.Popen(
            [*NIGHTDROP, "backup", "--config", str(house.config), "--json"],
            stdout=subprocess.DEVNULL,
            start_new_session=True,
        )
        wait_for_a_drop(house, process, len(house.names()))
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        times = {name.split(".")[1] for name in house.names() if ".vol1." in name}
        (house.source / "large").write_bytes(os.urandom(3_000_000))
    assert len(times) == 3
    house.backup()
    assert_mirrors_are_honest(house)
