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
    gate = house.gated()
    process = subprocess.Popen(
        [*NIGHTDROP, "backup", "--config", str(house.config), "--json"], stdout=subprocess.DEVNULL
    )
    wait_for_a_drop(house, process)
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text()
    [duplicity] = map(int, children.split())
    # It would end as soon as it had something to tell, and nobody listened.
    os.kill(duplicity, signal.SIGSTOP)
    try:
        process.kill()
        process.wait()
        assert "skipped" in house.backup()
    finally:
        os.kill(duplicity, signal.SIGCONT)
    gate.touch()
    house.wait_until_no_run_is_left()
    assert house.backup()["type"] == "full"
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


def test_a_run_that_is_interrupted_waits_for_no_mirror(house: House) -> None:
    """They stand still when only the receipt is left to send, and patience would last for an hour."""
    (house.source / "file").write_text("x")
    house.backup()
    numbers = [mirror.process.pid for mirror in house.mirrors if mirror.process]
    hook = f'after = ["sh", "-c", "kill -STOP {" ".join(map(str, numbers))}"]'
    house.configure('patience = "1h"', folders=f'include = ["{house.source}"]\n[hooks]\n{hook}')
    process = subprocess.Popen([*NIGHTDROP, "backup", "--config", str(house.config)])
    try:
        outbox, port = house.state / "outbox", house.mirrors[0].port
        wait_until(lambda: any(outbox.glob("*.receipt.json")) and unread_at(port), "it waits")
        process.terminate()
        assert process.wait(PATIENCE) == 128 + signal.SIGTERM
    finally:
        for number in numbers:
            os.kill(number, signal.SIGCONT)
    house.configure()
    house.backup()
    assert len([name for name in house.names(1) if name.endswith(".receipt.json")]) == 3
    house.assert_mirrors_are_honest()


def unread_at(port: int) -> bool:
    """Whether a connection to this port has brought anything that nobody has read (proc(5), net/tcp)."""
    lines = Path("/proc/net/tcp").read_text().splitlines()[1:]
    found = [(words[1], words[3], words[4].split(":")[1]) for words in map(str.split, lines)]
    return any(
        local.endswith(f":{port:04X}") and state == "01" and int(queue, 16)
        for local, state, queue in found
    )


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
