"""A router whose clock was never set."""

import subprocess
from pathlib import Path

import pytest

from snowflakes.clients import SHELLS, Client, Mirrors, end

from mirrors import PATIENCE


@pytest.fixture
def in_2020(tmp_path: Path, home: Mirrors) -> Client:
    """A client with another clock than all others: what is said in the file `clock` sets it anew. Always
    in dash: a busybox without shared libraries cannot be told another time.
    """
    client = Client(tmp_path / "client", home, SHELLS["dash"], None)
    clock = client.folder / "clock"
    clock.write_text("@2020-01-01 00:00:00\n")
    preload = subprocess.check_output(["faketime", "now", "printenv", "LD_PRELOAD"], text=True).strip()
    client.environment |= {
        "LD_PRELOAD": preload,
        "FAKETIME_TIMESTAMP_FILE": str(clock),
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }
    return client


def test_clock_that_is_set_while_the_run_waits_for_it(in_2020: Client) -> None:
    """A router has to ask the network for the time, and its names would lie before."""
    in_2020.set(patience=int(PATIENCE))
    run = in_2020.begin("conf", "echo", "one")
    in_2020.stage("clock")
    (in_2020.folder / "clock").write_text("+0\n")
    status, said = end(run)
    assert (status, "was never set" in said) == (0, False), said
    assert in_2020.names()[0].split(".")[1] > "2026"


def test_clock_that_is_never_set(in_2020: Client) -> None:
    """A backup with a name that lies is better than none."""
    in_2020.set(patience=1)
    said = in_2020.drop("conf", "echo", "one")
    assert "nightdrop: error: the clock says 2020-01-01T00:00:0" in said
    assert "Z: it was never set\nhint: " in said
    assert all(name.split(".")[1].startswith("20200101T00") for name in in_2020.names())
    assert "it was never set" in in_2020.run("doctor", expect=1).stderr
