"""Hooks, with real commands, around real runs."""

import signal
import subprocess
from pathlib import Path

import pytest

from nightdrop_client.hooks import Hooks

from house import HOST, House, run
from mirrors import NIGHTDROP, PATIENCE, wait_until


@pytest.fixture
def trace(house: House) -> Path:
    """The file that the hooks write to."""
    return house.root / "trace"


def with_hooks(house: House, trace: Path, *lines: str, **scripts: str) -> None:
    """Hooks that write down their name and what they were told, and then do what `scripts` say."""
    note = (
        f'echo "$NIGHTDROP_HOOK $NIGHTDROP_HOST ${{NIGHTDROP_TYPE:-}} ${{NIGHTDROP_ERROR:-}}" >>{trace}'
    )
    hooks = [
        f'{name} = ["sh", "-c", {note + "; " + scripts.get(name, "true")!r}]'
        for name in ("before", "after", "failure")
    ]
    folders = f'include = ["{house.source}"]\n[hooks]\n' + "\n".join([*hooks, *lines])
    house.configure('volume_size = "1M"', 'patience = "2s"', folders=folders)


def told(trace: Path) -> list[str]:
    return [line.strip() for line in trace.read_text().splitlines()]


def test_before_and_after_stand_around_what_is_read(house: House, trace: Path, tmp_path: Path) -> None:
    dump = house.source / "dump"
    with_hooks(house, trace, before=f"echo data >{dump}", after=f"rm {dump}; echo to standard output")
    done = run("backup", "--config", house.config, "--json")
    assert done.stdout.startswith("{"), "what a hook prints is not mixed into the facts"
    assert "to standard output" in done.stderr
    assert told(trace) == [f"before {HOST} full", f"after {HOST} full"]
    assert not dump.exists()
    assert (house.restore(tmp_path / "to") / "dump").read_text() == "data\n"


def test_a_before_that_fails_means_no_backup(house: House, trace: Path) -> None:
    with_hooks(house, trace, before="exit 7")
    done = run("backup", "--config", house.config, expect=1)
    assert "nightdrop: error: the hook `before` failed with status 7" in done.stderr
    assert house.names() == []
    why = "the hook `before` failed with status 7"
    assert told(trace) == [f"before {HOST} full", f"after {HOST} full", f"failure {HOST}  {why}"]


def test_an_after_that_fails_costs_nothing_of_the_set_but_is_said(house: House, trace: Path) -> None:
    (house.source / "file").write_text("x")
    with_hooks(house, trace, after="exit 9")
    done = run("backup", "--config", house.config, expect=3)
    assert "warning: the hook `after` failed with status 9" in done.stdout
    assert any(name.endswith(".receipt.json") for name in house.names())
    assert told(trace) == [f"before {HOST} full", f"after {HOST} full"]


def test_when_no_mirror_answers_nothing_is_stopped_for_nothing(house: House, trace: Path) -> None:
    with_hooks(house, trace)
    for mirror in house.mirrors:
        mirror.stop()
    run("backup", "--config", house.config, expect=1)
    [line] = told(trace)
    assert line.startswith(f"failure {HOST}")
    assert "mirror" in line


def test_a_hook_that_hangs_is_ended(house: House, trace: Path) -> None:
    with_hooks(house, trace, 'patience = "1s"', before="exec sleep 60")
    done = run("backup", "--config", house.config, expect=1)
    assert "the hook `before` took longer than 1.0 s" in done.stderr


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_a_run_that_is_interrupted_still_runs_after(
    house: House, trace: Path, how: signal.Signals
) -> None:
    with_hooks(house, trace, before="exec sleep 600")
    process = subprocess.Popen(
        [*NIGHTDROP, "backup", "--config", house.config], stderr=subprocess.PIPE, text=True
    )
    wait_until(lambda: trace.exists() and "before" in trace.read_text(), "the hook runs")
    process.send_signal(how)
    _, stderr = process.communicate(timeout=PATIENCE)
    assert process.returncode == 128 + how
    assert "interrupted" in stderr
    assert [line.split()[0] for line in told(trace)] == ["before", "after", "failure"]


def test_a_signal_while_a_hook_is_started_ends_the_hook() -> None:
    """It comes as early as it can: one time in ten before the process is known."""
    # Who runs tests in the background makes them deaf to SIGINT.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    hooks = Hooks(("sh", "-c", "kill -INT $PPID; exec sleep 600"), (), (), patience=600)
    before = children()
    for _ in range(40):
        with pytest.raises(KeyboardInterrupt), hooks.around({}):
            pytest.fail("the hook did not interrupt us")
    assert children() == before


def children() -> set[str]:
    """The processes that this one has begun and not waited for."""
    return {
        pid
        for task in Path("/proc/self/task").iterdir()
        for pid in (task / "children").read_text().split()
    }


def test_a_command_that_is_not_there_is_named(house: House) -> None:
    folders = f'include = ["{house.source}"]\n[hooks]\nbefore = ["/nowhere/stop-it"]'
    house.configure('volume_size = "1M"', folders=folders)
    done = run("backup", "--config", house.config, expect=1)
    assert "the hook `before` cannot be started: /nowhere/stop-it: No such file" in done.stderr
