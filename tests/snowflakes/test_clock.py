"""A router whose clock was never set."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from snowflakes.clients import SHELLS, Client, Mirrors, end

from mirrors import PATIENCE, wait_for


@pytest.fixture
def in_2020(tmp_path: Path, home: Mirrors) -> Iterator[Client]:
    """A client with another clock than all others: what is said in the file `clock` sets it anew. Always
    in dash: a busybox without shared libraries cannot be told another time.
    """
    client = Client(tmp_path / "client", home, SHELLS["dash"], None)
    clock = client.folder / "clock"
    clock.write_text("@2020-01-01 00:00:00\n")
    # Its memory is shared as long as it runs. A process that has none to share may leave its own behind,
    # with its number in the name, and a later one that gets the number fails.
    words = ["faketime", "now", "sh", "-c", 'echo "$LD_PRELOAD"; echo "$FAKETIME_SHARED"; read -r end']
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        preload, shared = holder.stdout.readline().strip(), holder.stdout.readline().strip()
        assert preload and shared
        client.environment |= {
            "LD_PRELOAD": preload,
            "FAKETIME_SHARED": shared,
            "FAKETIME_TIMESTAMP_FILE": str(clock),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }
        yield client


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
    assert "nightdrop: error: the clock says 2020-01-01T00:" in said
    assert "Z: it was never set\nhint: " in said
    assert all(name.split(".")[1].startswith("20200101T00") for name in in_2020.names())
    assert "it was never set" in in_2020.run("doctor", expect=1).stderr


def test_clock_that_begins_at_the_same_second_with_each_boot(in_2020: Client) -> None:
    """It has no battery. No name is sent twice, not even one that was not the last."""
    in_2020.set(patience=0)
    clock = in_2020.folder / "clock"
    for second in ("05", "06"):
        clock.write_text(f"2020-01-01 00:00:{second}\n")
        in_2020.drop("conf", "echo", second)
    clock.write_text("2020-01-01 00:00:05\n")
    run = in_2020.begin("conf", "echo", "07")
    wait_for(lambda: run.poll() is not None or sleeps(run.pid), "it waits for a second that is its own")
    clock.write_text("2020-01-01 00:00:07\n")
    status, said = end(run)
    assert status == 0, said
    assert [receipt.set for receipt in in_2020.receipts()] == [
        f"{in_2020.kind('conf')}-full.20200101T00000{second}Z" for second in "567"
    ]


def sleeps(parent: int) -> bool:
    """Whether it has begun to sleep, itself."""
    return subprocess.run(["pgrep", "-P", str(parent), "-x", "sleep"], check=False).returncode == 0


def test_a_name_that_is_taken(in_2020: Client) -> None:
    """The state was lost, and with it which names are."""
    in_2020.set(patience=1)
    (in_2020.folder / "clock").write_text("2020-01-01 00:01:00\n")
    in_2020.drop("conf", "echo", "one")
    (in_2020.state / "last").unlink()
    said = in_2020.drop("conf", "echo", "two", expect=1)
    assert "mirror-a: it has other bytes under that name already: did the clock go back, or" in said
