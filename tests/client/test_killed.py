"""A run that is killed at any step: the next one succeeds, and what is restored is the source.

The steps are counted by what happens in the folders that matter: each volume, signature, manifest and
receipt that arrives at a mirror, each local rename, each transaction of the drop log. Files that were
new at one step are never touched again, so one restore at the end shows whether any step lost one.
NIGHTDROP_TEST_TIMES=5 takes more than a hundred steps instead of these; tests/lab/kills does.
"""

import json
import os
from pathlib import Path

import pytest

from house import HOST, House, run
from mirrors import NIGHTDROP, TIMES
from moments import Moments, kill_all, start
from trees import describe, differences

STEPS = 12 * TIMES


@pytest.mark.parametrize("kind", ["full", "inc"])
def test_killed_at_every_step(house: House, tmp_path: Path, kind: str) -> None:
    command = [*NIGHTDROP, "backup", "--config", house.config, "--json"]
    command += ["--full"] if kind == "full" else []
    (house.source / "large").write_bytes(os.urandom(2_200_000))
    os.link(house.source / "large", house.source / "link")
    house.backup()
    (house.source / "large").write_bytes(os.urandom(2_200_000))
    with Moments(folders(house)) as moments:
        process = start(command)
        steps = len(list(moments.names_until_end_of(process)))
    assert process.returncode == 0
    assert steps > 30

    killed_after_a_drop = 0
    for number in range(STEPS):
        wanted = 1 + number * steps // STEPS
        rewrite(house.source / "large", os.urandom(2_200_000), 2 * number)
        (house.source / f"before-{number}").write_text(f"{number}")
        rewrite(house.source / "a", f"before {number}".encode(), 2 * number)
        dropped = len(house.names())
        with Moments(folders(house)) as moments:
            process = start(command)
            for count, _ in enumerate(moments.names_until_end_of(process), 1):
                if count == wanted:
                    break
            killed = kill_all(process)
        killed_after_a_drop += killed and len(house.names()) > dropped
        # What duplicity's own restart gets wrong: a file before the point of resumption has changed.
        text = f"after the kill at step {wanted} of {steps}"
        rewrite(house.source / "a", text.encode(), 2 * number + 1)
        (house.source / f"after-{number}").write_text(f"{number}")
        # A killed run is followed by another that is killed, too, or by one that is let be.
        if number % 2:
            house.backup()
    house.backup()
    assert killed_after_a_drop > STEPS // 3, "the steps were not spread over the runs"
    restored = house.restore(tmp_path / "restored", mirror=STEPS % 2)
    assert differences(describe(house.source), describe(restored)) == {}
    house.assert_mirrors_are_honest()
    assert_nothing_is_left_over(house)
    assert_the_check_names_what_lies_there(house)


def rewrite(path: Path, content: bytes, number: int) -> None:
    """Write a file anew, at a second of its own: duplicity tells changes by whole seconds."""
    path.write_bytes(content)
    os.utime(path, (1_000_000_000 + number, 1_000_000_000 + number))


def folders(house: House) -> list[Path]:
    """Where a run leaves traces."""
    names = ("", "archive/backup", "outbox", "scratch")
    return [house.state / name for name in names] + [mirror.vault / HOST for mirror in house.mirrors]


def assert_the_check_names_what_lies_there(house: House) -> None:
    """On a mirror, what a killed run left stays: the check calls it unfinished."""
    stems = {name.split(".sigtar")[0].split(".vol")[0] for name in house.names() if ".vol" in name}
    unfinished = {stem for stem in stems if f"{stem}.receipt.json" not in house.names()}
    assert unfinished
    config = house.mirrors[0].config
    report = json.loads(run("check", "--json", "--config", config, expect=0).stdout)
    found = [each for each in report["findings"] if each["code"] == "incomplete"]
    assert {stem for each in found for stem in each["data"]["sets"]} == unfinished


def assert_nothing_is_left_over(house: House) -> None:
    """Locally: no piece of an unfinished set, and nothing that was only of use to a run under way."""
    assert os.listdir(house.state / "outbox") == []
    archive = os.listdir(house.state / "archive" / "backup")
    assert all(name.endswith((".manifest", ".sigtar.gz")) for name in archive), archive
    sets = {name.removesuffix(".receipt.json") for name in house.names() if ".receipt." in name}
    manifests = {name.removesuffix(".manifest") for name in archive if name.endswith(".manifest")}
    assert manifests <= sets
