"""Local metadata in which the disk, or somebody, changed an octet: nothing is built on it."""

import json
import random
import re
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

import pytest

from check.signers import make_signer
from nightdrop.errors import NightdropError
from nightdrop_client.droplog import DamagedLogError, DropLog

from gates import gate_to
from house import HOST, House, complaint, run
from mirrors import NIGHTDROP
from trees import describe, differences

FULL = "a full: there is none to build on"


@pytest.mark.parametrize(
    ("damaged", "made"),
    [
        ("archive/backup/duplicity-full.*.manifest", FULL),
        ("archive/backup/duplicity-full-signatures.*.sigtar.gz", FULL),
        ("archive/backup/duplicity-inc.*.manifest", "an incremental: on top of duplicity-full."),
        (
            "archive/backup/duplicity-new-signatures.*.sigtar.gz",
            "an incremental: on top of duplicity-full.",
        ),
        ("recipients/*.pem", FULL),
    ],
)
def test_what_is_whole_is_built_on_and_it_restores(
    house: House, tmp_path: Path, damaged: str, made: str
) -> None:
    (house.source / "stays").write_text("as it was in the full")
    (house.source / "changes").write_text("one")
    house.backup()
    (house.source / "changes").write_text("two")
    assert house.backup()["type"] == "inc"
    [path] = house.state.glob(damaged)
    flip_an_octet(path)
    (house.source / "changes").write_text("three")
    said = run("backup", "--config", house.config).stdout
    kind = "full" if made == FULL else "inc"
    assert re.search(
        rf"^nothing new will build on duplicity-{kind}\..*: its local metadata is damaged$", said, re.M
    )
    assert f"\nmaking {made}" in said
    house.let_a_second_pass()
    (house.source / "changes").write_text("four")
    assert house.backup()["type"] == "inc", "the chain goes on"
    restored = house.restore(tmp_path / "restored")
    assert differences(describe(house.source), describe(restored)) == {}
    house.assert_mirrors_are_honest()


def test_a_full_of_a_version_that_kept_less_is_built_on(house: House, tmp_path: Path) -> None:
    """The first versions neither kept whom a full is sealed to nor noted what is needed here."""
    (house.source / "changes").write_text("one")
    house.backup()
    [path] = house.state.glob("recipients/*.pem")
    path.unlink()
    with closing(sqlite3.connect(house.state / "drops.sqlite")) as log:
        log.execute("DELETE FROM kept")
        log.commit()
    house.let_a_second_pass()
    (house.source / "changes").write_text("two")
    assert house.backup()["type"] == "inc"
    assert differences(describe(house.source), describe(house.restore(tmp_path / "restored"))) == {}


def flip_an_octet(path: Path) -> None:
    """Change one in the middle; size and time stay."""
    octets = bytearray(path.read_bytes())
    octets[len(octets) // 2] ^= 1
    with path.open("r+b") as file:
        file.write(octets)


def test_a_damaged_drop_log_is_put_aside(house: House, tmp_path: Path) -> None:
    """A digest in it, of which SQLite would take any."""
    (house.source / "file").write_text("one")
    facts = house.backup()
    log = house.state / "drops.sqlite"
    receipt = json.loads(house.mirrors[0].stored(HOST)[f"{facts['set']}.receipt.json"])
    digest = receipt["files"][0]["sha256"].encode()
    assert log.read_bytes().count(digest) == 2, "of both mirrors"
    log.write_bytes(log.read_bytes().replace(digest, digest[:-1] + b"!", 1))
    error, hint = complaint(run("status", "--config", house.config, expect=1))
    how = f"the drop log {log} is damaged: its rows are not as they were written"
    assert error == f"nightdrop: error: {how}"
    assert "`nightdrop backup`" in hint
    (house.source / "file").write_text("another")
    facts = house.backup(expect=3)
    assert facts["type"] == "full"
    assert facts["warnings"] == [f"{how}; it was put aside, and nothing new builds on the sets in it"]
    assert log.with_name("drops.sqlite.damaged").read_bytes().count(digest) == 1
    (house.source / "file").write_text("a third")
    assert house.backup()["type"] == "inc"
    restored = house.restore(tmp_path / "restored")
    assert differences(describe(house.source), describe(restored)) == {}
    house.assert_mirrors_are_honest()


def test_no_bit_of_the_drop_log_changes_without_notice(house: House) -> None:
    """Each answer is the right one, or there is none."""
    (house.source / "file").write_text("one")
    house.backup()
    house.backup()
    path = house.state / "drops.sqlite"
    whole = path.read_bytes()
    right = everything(path)
    chance = random.Random(1)
    places = [place for place, octet in enumerate(whole) if octet]
    noticed = 0
    for _ in range(300):
        damaged = bytearray(whole)
        damaged[chance.choice(places)] ^= 1 << chance.randrange(8)
        path.write_bytes(damaged)
        try:
            assert everything(path) == right
        except NightdropError:
            noticed += 1
    assert noticed > 200


def everything(path: Path) -> list[object]:
    """What a drop log answers to all that it is asked."""
    log = DropLog(path)
    try:
        sets = log.sets(retired_too=True)
        keys = [done.key for done in sets]
        files = [log.files(key, mirror) for key in keys for mirror in (None, *log.mirrors())]
        return [sets, files, *map(log.kept, keys), *map(log.receipt_of, keys), log.last_receipt()]
    finally:
        log.close()


def test_a_log_that_is_replaced_from_within_keeps_its_sum(house: House) -> None:
    """Sets are made, forgotten and retired, files dropped again: after all of it the log is believed."""
    (house.source / "file").write_text("one")
    for _ in range(3):
        assert house.backup("--full")["type"] == "full"
    path = house.state / "drops.sqlite"
    log = DropLog(path)
    [first, *_, last] = log.sets(retired_too=True)
    files = log.files(last.key)
    for file in files.values():
        log.record(["mirror-a", "mirror-c"], last.key, file)
    log.forget(first.key)
    log.retire([])
    log.close()
    DropLog(path).close()
    octets = bytearray(path.read_bytes())
    place = octets.index(next(iter(files.values())).sha256.encode())
    octets[place] ^= 1
    path.write_bytes(octets)
    with pytest.raises(DamagedLogError):
        DropLog(path)


def test_what_an_older_version_changed_counts_as_right(house: House) -> None:
    """One that keeps no sum was put back for a while."""
    (house.source / "file").write_text("one")
    house.backup()
    path = house.state / "drops.sqlite"
    with closing(sqlite3.connect(path)) as older, older:
        older.execute(
            "INSERT OR REPLACE INTO drops SELECT mirror, stem, name, size, sha256, 0.0 FROM drops"
        )
        older.execute("DELETE FROM times")
    log = DropLog(path)
    assert log.take_time()
    log.close()
    DropLog(path).close()
    octets = path.read_bytes()
    with closing(sqlite3.connect(path)) as db:
        [[digest]] = db.execute("SELECT sha256 FROM receipts")
    path.write_bytes(octets.replace(digest.encode(), b"!" * 64, 1))
    with pytest.raises(DamagedLogError):
        DropLog(path)


@pytest.mark.parametrize("altered", [".receipt.json", ".receipt.json.p7s"])
def test_what_was_altered_while_it_waited_is_not_sent(
    plain_house: House, tmp_path: Path, altered: str
) -> None:
    house = plain_house
    key, _ = make_signer(tmp_path, HOST)
    house.configure(f'signing_key = "{key}"', 'volume_size = "1M"', 'patience = "5s"')
    (house.source / "file").write_text("one")
    bundle, absent = house.bundle.read_text(), house.mirrors[1]
    with gate_to(absent.port, f"{altered} ".encode()) as (near, gate):
        house.bundle.write_text(bundle.replace(absent.url, f"http://127.0.0.1:{near}"))
        with subprocess.Popen([*NIGHTDROP, "backup", "--config", str(house.config)]) as process:
            gate.wait_until_reached()
            absent.kill()
            process.kill()
    house.wait_until_no_run_is_left()
    house.bundle.write_text(bundle)
    [waiting] = house.state.glob(f"outbox/*{altered}")
    name = waiting.name
    flip_an_octet(waiting)
    absent.start()
    house.let_a_second_pass()
    (house.source / "file").write_text("another")
    said = run("backup", "--config", house.config).stdout
    why = "its receipt, or what goes before it, was damaged before every mirror had it"
    assert f"nothing new will build on {name.removesuffix(altered)}: {why}\n" in said
    assert "\nmaking a full" in said
    assert name not in house.names(1)
    assert not waiting.exists()
    restored = house.restore(tmp_path / "restored", mirror=1)
    assert differences(describe(house.source), describe(restored)) == {}
