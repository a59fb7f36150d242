"""`./install.sh try`, as a newcomer calls it."""

import os
import re
import shutil
import signal
import subprocess
import urllib.request
from pathlib import Path

import pytest

from mirrors import wait_until

ROOT = Path(__file__).parents[1]


def tryout(*words: object, expect: int = 0) -> subprocess.CompletedProcess[str]:
    """Run it; it must end with this status."""
    done = subprocess.run(
        ["./install.sh", "try", *map(str, words)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert "Traceback" not in done.stderr
    assert done.returncode == expect, done.stdout + done.stderr
    return done


@pytest.mark.slow
def test_twice_and_the_second_time_with_keep(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "file").write_text("x")
    first = tryout(folder)
    assert "All of it held" in first.stdout
    assert mirrors_running(first) == set()
    second = tryout("--keep", folder)
    pids = [int(pid) for pid in re.findall(r"kill (\d+) (\d+)", second.stdout)[0]]
    try:
        assert mirrors_running(second) == set(pids)
        command = next(line for line in second.stdout.splitlines() if " backup --config " in line)
        subprocess.run(command.strip(), shell=True, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
        page = re.findall(r"report page: (\S+)", second.stdout)[0]
        assert "1 of 1 host well" in urllib.request.urlopen(f"file://{page}").read().decode()
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGTERM)
    wait_until(lambda: not mirrors_running(second), "the mirrors have stopped")
    for done in (first, second):
        shutil.rmtree(work_of(done))


def test_folder_that_is_not_there() -> None:
    done = tryout("/nowhere", expect=1)
    assert done.stderr.splitlines()[0] == "nightdrop: error: /nowhere is no folder"


def work_of(done: subprocess.CompletedProcess[str]) -> str:
    """The folder that a tryout has worked in."""
    return str(re.findall(r"rm -r (\S+)", done.stdout)[0])


def mirrors_running(done: subprocess.CompletedProcess[str]) -> set[int]:
    """Every `nightdrop serve` of a tryout."""
    found = set()
    work = work_of(done).encode()
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words = (folder / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if b"serve" in words and any(work in word for word in words):
            found.add(int(folder.name))
    return found
