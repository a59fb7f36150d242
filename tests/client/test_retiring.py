"""Old chains: their local metadata goes once a newer full is on every mirror that is reached."""

import os
from pathlib import Path

import pytest

from nightdrop.names import SetKey
from nightdrop.receipts import ReceiptFile
from nightdrop_client.droplog import DropLog, FinishedSet
from nightdrop_client.retiring import retire_old_chains
from nightdrop_client.state import State

from house import House, run
from trees import describe, differences

OLD = SetKey("duplicity", "20260101T000000Z", "full")
OLD_INC = SetKey("duplicity", "20260102T000000Z", "inc", OLD.end)
NEW = SetKey("duplicity", "20260103T000000Z", "full")
INC = SetKey("duplicity", "20260104T000000Z", "inc", NEW.end)


def test_metadata_does_not_grow_and_old_sets_still_restore(house: House, tmp_path: Path) -> None:
    file = house.source / "file"
    file.write_text("one")
    house.backup()
    file.write_text("two")
    then = str(house.backup()["set"]).rsplit(".", 1)[-1]
    before = describe(house.source)
    archive = house.state / "archive" / "backup"
    assert len(os.listdir(archive)) == 4
    file.write_text("three")
    new = str(house.backup("--full")["set"]).rsplit(".", 1)[-1]
    assert {name.split(".")[1] for name in os.listdir(archive)} == {new}
    file.write_text("four")
    assert house.backup()["type"] == "inc"
    restored = house.restore(tmp_path / "now")
    assert differences(describe(house.source), describe(restored)) == {}
    moment = f"{then[:4]}-{then[4:6]}-{then[6:11]}:{then[11:13]}:{then[13:15]}+00:00"
    restored = house.restore(tmp_path / "then", "--time", moment, mirror=1)
    assert differences(before, describe(restored)) == {}
    assert then in run("status", "--config", house.config).stdout, "what was retired is still told of"


@pytest.fixture
def state(tmp_path: Path) -> State:
    state = State(tmp_path / "state")
    state.prepare()
    return state


@pytest.fixture
def log(state: State) -> DropLog:
    log = DropLog(state.drop_log)
    for key in (OLD, OLD_INC, NEW):
        finish(state, log, key)
    return log


def finish(state: State, log: DropLog, key: SetKey) -> None:
    """As a run leaves it behind that reached the mirror `a` only."""
    log.finish(FinishedSet(key, 0, 0, 0, 0, 0, b""))
    log.record(["a"], key, ReceiptFile(key.receipt_name, 1, "0" * 64))
    for name in (key.manifest_name[: -len(".p7m")], f"{key.signatures_name[: -len('.p7m')]}.gz"):
        (state.archive / name).touch()


def test_only_mirrors_that_are_reached_count(state: State, log: DropLog) -> None:
    assert retire_old_chains(state, log, ["a", "b"]) == []
    assert retire_old_chains(state, log, []) == []
    assert len(os.listdir(state.archive)) == 6
    assert retire_old_chains(state, log, ["a"]) == [OLD, OLD_INC]
    assert [done.key for done in log.sets()] == [NEW]
    assert len(os.listdir(state.archive)) == 2


def test_a_set_whose_receipt_has_not_arrived_waits(state: State, log: DropLog) -> None:
    (state.outbox / OLD_INC.receipt_name).touch()
    assert retire_old_chains(state, log, ["a"]) == [OLD]


def test_what_was_retired_long_ago_is_known_no_more(state: State, log: DropLog) -> None:
    retire_old_chains(state, log, ["a"])
    finish(state, log, INC)
    assert retire_old_chains(state, log, ["a"]) == []
    newest = SetKey("duplicity", "20260105T000000Z", "full")
    finish(state, log, newest)
    assert retire_old_chains(state, log, ["a"]) == [NEW, INC]
    assert [done.key for done in log.sets(retired_too=True)] == [NEW, INC, newest]
    assert log.files(OLD) == {}
    assert list(log.files(NEW)) == [NEW.receipt_name]
