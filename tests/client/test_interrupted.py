"""A run that is ended, or a part of it: the lock, and the names. test_killed.py has the rest."""

import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

from house import House
from mirrors import NIGHTDROP, PATIENCE, wait_until
from moments import kill_all, start


def test_lock_is_held_while_duplicity_outlives_its_run(house: House) -> None:
    """Only the parent is killed: what it started must not meet a second run."""
    (house.source / "large").write_bytes(os.urandom(30_000_000))
    process = subprocess.Popen(
        [*NIGHTDROP, "backup", "--config", str(house.config), "--json"], stdout=subprocess.DEVNULL
    )
    wait_for_a_drop(house, process)
    process.kill()
    process.wait()
    deadline = time.monotonic() + 10 * PATIENCE
    while "skipped" in house.backup():
        assert time.monotonic() < deadline
    house.assert_mirrors_are_honest()


def test_duplicity_that_was_told_nothing_goes_with_its_run(house: House, tmp_path: Path) -> None:
    """It is started before there is anything to do, and the run may be killed by then."""
    (house.source / "file").write_text("x")
    pid = tmp_path / "pid"
    hook = f'before = ["sh", "-c", "echo $$ >{pid}.new; mv {pid}.new {pid}; exec sleep 600"]'
    house.configure(folders=f'include = ["{house.source}"]\n[hooks]\n{hook}')
    process = subprocess.Popen([*NIGHTDROP, "backup", "--config", str(house.config)])
    wait_until(pid.exists, "the hook runs")
    process.kill()
    process.wait()
    os.kill(int(pid.read_text()), signal.SIGKILL)
    house.wait_until_no_run_is_left()
    assert (house.state / "duplicity.log").read_text() == ""
    house.configure()
    assert house.backup()["type"] == "full"


def test_sigterm_ends_the_run_and_its_duplicity(house: House) -> None:
    gate = house.gated()
    process = subprocess.Popen(
        [*NIGHTDROP, "backup", "--config", str(house.config), "--json"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    wait_for_a_drop(house, process)
    process.terminate()
    _, said = process.communicate(timeout=PATIENCE)
    assert process.returncode == 128 + signal.SIGTERM
    assert said.splitlines()[0] == "nightdrop: error: interrupted"
    gate.touch()
    assert house.backup()["type"] == "full"


def wait_for_a_drop(house: House, process: "subprocess.Popen[Any]", before: int = 0) -> None:
    """Until the mirror has more than `before` files, which the run has to bring about."""
    while True:
        ended = process.poll() is not None
        if len(house.names()) > before:
            return
        assert not ended, "the run ended and had dropped nothing"
        time.sleep(0.001)


def test_a_run_started_in_the_same_second_takes_another_name(house: House) -> None:
    """What a killed run sent stays; the next one, however soon, sends under names of its own."""
    gate = house.gated()
    for _ in range(3):
        process = start([*NIGHTDROP, "backup", "--config", house.config, "--json"])
        wait_for_a_drop(house, process, len(house.names()))
        assert kill_all(process)
    times = {name.split(".")[1] for name in house.names() if ".vol1." in name}
    assert len(times) == 3
    gate.touch()
    house.backup()
    house.assert_mirrors_are_honest()
