"""`nightdrop backup --dry-run`, and what a run shows of itself: on a terminal, and in a journal."""

import json
import os
import pty
import re
import subprocess
from contextlib import suppress
from pathlib import Path

import pytest

from nightdrop.engine.events import Event
from nightdrop.progress import ProgressLine
from nightdrop_client.progress import Expected, RunProgress

from house import House, run
from mirrors import NIGHTDROP


def everything(folder: Path) -> dict[str, tuple[int, bytes]]:
    return {
        str(path): (path.stat().st_mtime_ns, path.read_bytes() if path.is_file() else b"")
        for path in [folder, *folder.rglob("*")]
    }


def test_a_dry_run_tells_and_touches_nothing(house: House) -> None:
    (house.source / "file").write_bytes(os.urandom(2_000_000))
    said = run("backup", "--dry-run", "--config", house.config).stdout
    assert "would make a full: there is none to build on\nwould look at 1 file, 2.0 MB;" in said
    assert "would drop it on mirror-a, mirror-b\n" in said
    assert not house.state.exists()
    house.backup()

    (house.source / "more").write_bytes(os.urandom(500_000))
    before, asked = everything(house.state), house.requests()
    facts = house.backup("--dry-run")
    assert facts["plan"]["type"] == "inc"  # type: ignore[index]
    assert (facts["files"], facts["size"]) == (2, 2_500_000)
    assert facts["changed_size"] == 500_000
    assert 450_000 < facts["stored"] < 600_000  # type: ignore[operator]
    assert house.backup("--dry-run", "--full")["plan"] == {"type": "full", "reason": "asked for"}
    next((house.state / "archive" / "backup").glob("*.manifest")).rename(house.root / "manifest")
    said = run("backup", "--dry-run", "--config", house.config).stdout
    assert re.search(
        r"^nothing new would build on duplicity-full\S+: its local metadata is gone$", said, re.M
    )
    assert "would make a full: there is none to build on" in said
    (house.root / "manifest").rename(next(iter(n for n in before if n.endswith(".manifest"))))
    assert {k: v[1] for k, v in everything(house.state).items()} == {k: v[1] for k, v in before.items()}
    assert house.requests() == asked


def test_what_a_dry_run_does_not_count_is_named(house: House) -> None:
    (house.source / "file").write_bytes(bytes(1000))
    command = '[[commands]]\nname = "shop.sql"\ncommand = ["head", "-c", "5000", "/dev/zero"]\n'
    house.config.write_text(house.config.read_text() + command)
    facts = house.backup("--dry-run")
    assert (facts["files"], facts["size"]) == (1, 1000)
    assert facts["not_counted"] == ["/.nightdrop/commands/shop.sql"]
    said = run("backup", "--dry-run", "--config", house.config).stdout
    assert (
        "none of these numbers, because only a run asks for them: /.nightdrop/commands/shop.sql" in said
    )


def test_a_terminal_shows_a_bar_and_json_is_alone_on_standard_output(house: House) -> None:
    """The bar tells how far this full is by the size of the last. This one goes on, slowly, until the bar
    was seen, and stays smaller than the last.
    """
    (house.source / "file").write_bytes(os.urandom(30_000_000))
    house.backup()
    (house.source / "file").unlink()
    seen = house.root / "seen"
    slowly = (
        f"for _ in $(seq 250); do [ ! -e {seen} ] || break; head -c 100000 /dev/urandom; sleep 0.1; done"
    )
    with house.config.open("a") as file:
        file.write(f"[[commands]]\nname = 'slow'\ncommand = ['sh', '-c', '{slowly}']\n")
    reading, terminal = pty.openpty()
    command = [*NIGHTDROP, "backup", "--full", "--json", "--config", house.config]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=terminal) as process:
        os.close(terminal)
        shown = b""
        # A terminal that nobody has open any more is an error to read from.
        with suppress(OSError):
            while piece := os.read(reading, 65536):
                shown += piece
                if re.search(rb"\r\[=+ *\] \d+%  \d", shown):
                    seen.touch()
        os.close(reading)
        assert process.stdout is not None
        facts = json.loads(process.stdout.read())
    assert process.returncode == 0
    assert facts["type"] == "full"
    assert seen.exists(), shown
    assert shown.endswith(b"\r\x1b[K"), "a clean line is left behind"


@pytest.fixture
def clock() -> list[float]:
    return [1000.0]


def test_a_journal_gets_few_lines(clock: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    expected = Expected(looked_at=36_000_000_000)
    progress = RunProgress(ProgressLine(), ["a", "b"], expected, said.append, lambda: clock[0])
    for second in range(3600):
        clock[0] += 1
        progress.see(Event("scanned", files=10 * second, octets=10_000_000 * second))
        progress.see(Event("sent", mirror="a", octets=1_000_000))
        if second == 1000:
            progress.see(Event("waiting", "Connection refused\x1b[31m", mirror="b"))
            progress.see(Event("waiting", "", mirror="b"))
    assert len(said) == 9, said
    assert said[0].startswith("so far: 1 min 0 s, ")
    middle = next(line for line in said if line.startswith("so far: 45 min") or "50 min" in line[:16])
    assert re.search(
        r"about 1\d min \d+ s left, .* files 2\d GB, 0 volumes, 1.0 MB/s, a 2.\d GB, b 0 B", middle
    )
    assert r"the mirror b fails: Connection refused\x1b[31m" in said
    assert "the mirror b is back" in said
