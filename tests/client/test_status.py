"""`nightdrop status`: this host's own records, for people and programs."""

import json
import re
import shlex
import time
from pathlib import Path

import pytest

from nightdrop_client.timers import first_start

from house import HOST, House, run
from mirrors import NIGHTDROP
from moments import Moments, kill_all, start


def facts(house: House, expect: int = 0) -> dict[str, object]:
    found: dict[str, object] = json.loads(
        run("status", "--json", "--config", house.config, expect=expect).stdout
    )
    return found


def test_before_the_first_backup_there_is_none_and_nothing_is_made(house: House) -> None:
    said = run("status", "--config", house.config, expect=1).stdout
    assert said == f"{HOST}\n  no backup yet\n  the next one will be a full\n"
    assert not house.state.exists()


def test_it_tells_the_sets_and_what_comes_next(house: House) -> None:
    (house.source / "file").write_bytes(bytes(1_500_000))
    # Half a day more than what is told in the end: less than half a second may have passed by then.
    house.configure('volume_size = "1M"', 'patience = "5s"', 'full_every = "708h"')
    begun = time.time()
    names = [str(house.backup()["set"]) for _ in range(2)]
    found = facts(house)
    sets = found.pop("sets")
    last = found.pop("last_run")
    assert last["outcome"] == "done"  # type: ignore[index]
    assert found == {"host": HOST, "running": False, "next": "inc", "next_start": None}
    assert [one["name"] for one in sets] == names  # type: ignore[attr-defined]
    for one in sets:  # type: ignore[attr-defined]
        assert one["size"] == 1_500_000
        assert one["mirrors"] == {"mirror-a": True, "mirror-b": True}
        assert begun <= one["finished"] <= time.time()
        stored = house.mirrors[0].stored(HOST)
        sizes = [len(octets) for name, octets in stored.items() if name in set_files(stored, one["name"])]
        assert one["stored"] == sum(sizes)
    said = run("status", "--config", house.config).stdout
    assert re.search(
        rf"^  {names[1]}  2\d\d\d-\d\d-\d\d \d\d:\d\d UTC, .* ago, 1.5 MB read, ", said, re.M
    )
    assert said.endswith("  the next one will be an incremental; a full is due in 29 days\n")


def set_files(stored: dict[str, bytes], name: str) -> set[str]:
    """The files of a set: those that its receipt names, and the receipt."""
    receipt = f"{name}.receipt.json"
    return {file["name"] for file in json.loads(stored[receipt])["files"]} | {receipt}


def test_a_set_that_a_mirror_lacks_is_told(house: House) -> None:
    (house.source / "file").write_text("x")
    house.mirrors[1].stop()
    house.backup(expect=3)
    assert "    not on mirror-b\n" in run("status", "--config", house.config, expect=3).stdout
    [one] = facts(house, expect=3)["sets"]  # type: ignore[misc]
    assert one["mirrors"] == {"mirror-a": True, "mirror-b": False}


def test_a_run_under_way_is_told_and_asking_does_not_disturb_it(house: House, tmp_path: Path) -> None:
    (house.source / "file").write_text("x")
    asked = tmp_path / "asked"
    ask = f"{run_words(house)} >{asked}; true"
    folders = f'include = ["{house.source}"]\n[hooks]\nbefore = ["sh", "-c", {ask!r}]'
    house.configure('volume_size = "1M"', folders=folders)
    house.backup()
    assert json.loads(asked.read_text())["running"] is True
    assert facts(house)["running"] is False


def run_words(house: House) -> str:
    return f"{shlex.join(NIGHTDROP)} status --json --config {house.config}"


def test_how_the_last_run_went_is_told_also_if_it_failed_or_was_killed(house: House) -> None:
    (house.source / "file").write_text("x")
    house.backup()
    folders = f'include = ["{house.source}"]\n[hooks]\nbefore = ["sleep", "600"]'
    house.configure(folders=folders)
    with Moments([house.state]) as moments:
        process = start([*NIGHTDROP, "backup", "--config", house.config])
        next(name for name in moments.names_until_end_of(process) if name == "last-run.json")
        assert kill_all(process)
    house.configure()
    said = run("status", "--config", house.config, expect=3).stdout
    assert re.search(
        r"^  the last run, .* ago, did not write down how it ended: it was killed, ", said, re.M
    )
    for mirror in house.mirrors:
        mirror.stop()
    run("backup", "--config", house.config, expect=1)
    said = run("status", "--config", house.config, expect=3).stdout
    assert re.search(r"ago, FAILED\n    no mirror takes the backups of web1 \(mirror-a: Conn", said)
    last = facts(house, expect=3)["last_run"]
    assert last["outcome"] == "failed"  # type: ignore[index]


RECORDED = (
    b'[{"next":1795306749431497,"left":1795306749431497,"last":0,"passed":0,'
    b'"unit":"nightdrop-backup@client.timer","activates":"nightdrop-backup@client.service"}]'
)
"""What systemd 252 printed of a client's timer on a booted Debian 12."""


@pytest.mark.parametrize(
    ("printed", "due"),
    [
        (RECORDED, 1795306749.431497),
        (RECORDED.replace(b'"next":1795306749431497', b'"next":0'), None),
        (RECORDED.replace(b'"next":1795306749431497', b'"next":null'), None),
        (RECORDED.replace(b'"next"', b'"then"'), None),
        (b"[]", None),
        (b"Unknown output 'json'.", None),
    ],
)
def test_what_systemd_prints_of_timers_is_understood(printed: bytes, due: float | None) -> None:
    """tests/lab/systemd asks a systemd that runs, and has `status` tell it."""
    assert first_start(printed) == due
