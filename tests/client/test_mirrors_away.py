"""Mirrors that are away, die, or refuse: what the other one gets, and what is said."""

import os
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

from nightdrop.enrolment import load_bundle
from nightdrop_client.limits import Limits
from nightdrop_client.mirrors import Mirrors

from house import HOST, House, complaint, run
from mirrors import NIGHTDROP, PATIENCE, new_name, wait_until
from trees import describe, differences

OUTAGE = float(os.environ.get("NIGHTDROP_TEST_OUTAGE", "2"))
"""Seconds in which no mirror is there, in the middle of a run."""


def test_one_mirror_away_from_the_start(house: House, tmp_path: Path) -> None:
    (house.source / "file").write_bytes(os.urandom(2_000_000))
    house.mirrors[1].stop()
    facts = house.backup(expect=3)
    assert facts["mirrors_lacking"] == ["mirror-b"]
    restored = house.restore(tmp_path / "restored", mirror=0)
    assert differences(describe(house.source), describe(restored)) == {}
    assert house.names(1) == []
    said = run("backup", "--config", house.config, expect=3).stdout
    assert "the mirror mirror-b does not have this set: Connection refused" in said


def test_mirror_that_was_away_gets_the_next_sets(house: House, tmp_path: Path) -> None:
    """And once no single mirror has a whole chain any more, a full is made."""
    (house.source / "file").write_text("one")
    house.backup()
    house.mirrors[1].stop()
    house.backup(expect=3)
    house.mirrors[1].start()
    assert house.backup()["type"] == "inc"
    house.mirrors[0].stop()
    house.backup(expect=3)
    house.mirrors[0].start()
    facts = house.backup()
    assert facts["type"] == "full"
    assert "no single mirror" in str(facts["reason"])
    for number in (0, 1):
        restored = house.restore(tmp_path / f"restored-{number}", mirror=number)
        assert differences(describe(house.source), describe(restored)) == {}


def test_mirror_dies_in_the_middle(house: House, tmp_path: Path) -> None:
    (house.source / "file").write_bytes(os.urandom(4_000_000))
    gate = house.gated()
    process = in_the_middle_of_a_run(house)
    house.mirrors[1].kill()
    gate.touch()
    output, _ = process.communicate(timeout=300)
    assert process.returncode == 3, output
    assert "the mirror mirror-b does not have this set" in output
    restored = house.restore(tmp_path / "restored", mirror=0)
    assert differences(describe(house.source), describe(restored)) == {}
    assert not any(name.endswith("receipt.json") for name in house.names(1))


def test_both_mirrors_away_says_so_and_loses_nothing(house: House, tmp_path: Path) -> None:
    (house.source / "file").write_text("one")
    house.backup()
    for mirror in house.mirrors:
        mirror.stop()
    error, hint = complaint(run("backup", "--config", house.config, "--json", expect=1))
    assert "mirror-a: Connection refused" in error
    assert "mirror-b: Connection refused" in error
    assert "nothing is lost" in hint
    house.start()
    (house.source / "file").write_text("two")
    assert house.backup()["type"] == "inc"
    restored = house.restore(tmp_path / "restored")
    assert differences(describe(house.source), describe(restored)) == {}


def test_both_mirrors_reboot_in_the_middle_and_the_run_waits(house: House, tmp_path: Path) -> None:
    house.configure('volume_size = "1M"', f'patience = "{round(OUTAGE) + 300}s"')
    (house.source / "file").write_bytes(os.urandom(4_000_000))
    gate = house.gated()
    process = in_the_middle_of_a_run(house)
    for mirror in house.mirrors:
        mirror.kill()
    gate.touch()
    time.sleep(OUTAGE)
    house.start()
    output, _ = process.communicate(timeout=OUTAGE + 600)
    assert process.returncode == 0, output
    for number in (0, 1):
        restored = house.restore(tmp_path / f"restored-{number}", mirror=number)
        assert differences(describe(house.source), describe(restored)) == {}


def test_a_mirror_is_waited_for_when_the_other_is_lost_with_all_it_took(
    house: House, tmp_path: Path
) -> None:
    """It seems to answer, because nobody asks it anything before the first one has what it has."""
    mirrors = Mirrors(HOST, load_bundle(house.bundle).mirrors, Limits(grace=10), 10 * PATIENCE)
    file = tmp_path / "file"
    file.write_text("x")
    first, second = house.mirrors
    first.kill()
    with ThreadPoolExecutor(1) as pool, closing(mirrors):
        dropped = pool.submit(mirrors.drop, file, new_name())
        wait_until(lambda: any(status == 201 for *_, status in house.requests(1)), "it says so")
        second.kill()
        time.sleep(20)
        house.start()
        assert dropped.result(PATIENCE)[1] == ["mirror-a", "mirror-b"]


def test_wrong_password(house: House) -> None:
    """On one mirror: the other takes the set. On both: one line."""
    (house.source / "file").write_text("x")
    text = house.bundle.read_text()
    one = text.replace(house.mirrors[0].password(house.bundle), "wrong")
    both = one.replace(house.mirrors[1].password(house.bundle), "wrong")
    house.bundle.write_text(one)
    facts = house.backup(expect=3)
    assert facts["mirror_failures"] == {"mirror-a": f"it does not accept the password of {HOST}"}
    house.bundle.write_text(both)
    error, _ = complaint(run("backup", "--config", house.config, "--json", expect=1))
    assert f"mirror-b: it does not accept the password of {HOST}" in error


def test_mirror_with_another_certificate(house: House) -> None:
    """Somebody in between, with a certificate of the same name, is not spoken to."""
    (house.source / "file").write_text("x")
    house.mirrors[1].stop()
    for name in ("tls.crt", "tls.key"):
        (house.mirrors[1].state / name).unlink()
    house.mirrors[1].start()
    facts = house.backup(expect=3)
    assert "not the one that enrolment pinned" in str(facts["mirror_failures"])
    assert house.names(1) == []
    assert "web1" not in house.mirrors[1].log.read_text(), "the password was sent"


def in_the_middle_of_a_run(house: House) -> "subprocess.Popen[str]":
    """A run that has begun to send, and waits at its gate."""
    process = subprocess.Popen(
        [*NIGHTDROP, "backup", "--config", str(house.config)], stdout=subprocess.PIPE, text=True
    )
    wait_until(lambda: sum(".vol" in name for name in house.names(1)) >= 2, "two volumes")
    return process
