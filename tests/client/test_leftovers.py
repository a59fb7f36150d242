"""What is cleared, and what forgotten, before duplicity sees the local state."""

import os
import time
from hashlib import sha256
from pathlib import Path

import pytest

from nightdrop.names import SetKey, parse_time
from nightdrop_client.droplog import DropLog, FinishedSet
from nightdrop_client.leftovers import clear, keep_metadata
from nightdrop_client.state import State

FULL = SetKey("duplicity", "20260101T000000Z", "full")
FIRST = SetKey("duplicity", "20260102T000000Z", "inc", FULL.end)
NOW = parse_time("20260103T000000Z").timestamp()


@pytest.fixture
def state(tmp_path: Path) -> State:
    state = State(tmp_path / "state")
    state.prepare()
    return state


def finish(state: State, log: DropLog, *keys: SetKey) -> None:
    """As a run leaves them: rows, and local metadata."""
    state.recipients.mkdir(exist_ok=True)
    for key in keys:
        for name in (key.manifest_name[: -len(".p7m")], f"{key.signatures_name[: -len('.p7m')]}.gz"):
            (state.archive / name).write_text("whole")
        if key.type == "full":
            (state.recipients / f"{key.end}.pem").write_text("whole")
        log.finish(FinishedSet(key, 0, 0, 0, 0, 0, b""), keep_metadata(state, key))


def test_finished_sets_stay(state: State) -> None:
    log = DropLog(state.drop_log)
    finish(state, log, FULL, FIRST)
    before = sorted(os.listdir(state.archive))
    assert clear(state, log, NOW) == {}
    assert sorted(os.listdir(state.archive)) == before
    assert [done.key for done in log.sets()] == [FULL, FIRST]


def test_everything_else_goes(state: State) -> None:
    log = DropLog(state.drop_log)
    finish(state, log, FULL)
    before = sorted(os.listdir(state.archive))
    second = FIRST.manifest_name[: -len(".p7m")]
    for name in (f"{second}.part", second, f"{second}.p7m", "duplicity-x-tempdir/y", "lockfile"):
        (state.archive / name).parent.mkdir(exist_ok=True)
        (state.archive / name).touch()
    (state.scratch / "duplicity-z-tempdir").mkdir()
    (state.scratch / "duplicity-z-tempdir" / "volume").touch()
    (state.scratch / "link").symlink_to(state.archive)
    clear(state, log, NOW)
    assert sorted(os.listdir(state.archive)) == before
    assert os.listdir(state.scratch) == []


def test_what_waits_in_the_outbox_goes_with_its_set(state: State) -> None:
    log = DropLog(state.drop_log)
    finish(state, log, FULL, FIRST)
    for name in (FULL.receipt_name, FIRST.receipt_name, f".{FULL.receipt_name}.x7"):
        (state.outbox / name).touch()
    next(state.archive.glob("*-inc.*.manifest")).unlink()
    clear(state, log, NOW)
    assert os.listdir(state.outbox) == [FULL.receipt_name]


def test_a_set_from_the_future_is_forgotten(state: State) -> None:
    """A clock that was ahead, or is behind now."""
    log = DropLog(state.drop_log)
    finish(state, log, FULL, FIRST)
    forgotten = clear(state, log, parse_time(FIRST.end).timestamp() - 3600)
    assert list(forgotten) == [FIRST]
    assert "has not come yet" in forgotten[FIRST]
    assert [done.key for done in log.sets()] == [FULL]
    assert not any("inc" in name for name in os.listdir(state.archive))


@pytest.mark.parametrize("lost", ["manifest", "sigtar.gz", "pem"])
def test_a_set_that_lost_a_part_of_its_metadata_is_forgotten(state: State, lost: str) -> None:
    log = DropLog(state.drop_log)
    finish(state, log, FULL)
    [path] = state.root.rglob(f"*.{lost}")
    path.unlink()
    assert clear(state, log, NOW) == {FULL: "its local metadata is gone"}
    assert os.listdir(state.archive) == []


def test_what_builds_on_a_forgotten_set_goes_with_it(state: State) -> None:
    """Or duplicity would warn of each of its files; but not as long as a mirror is owed its receipt."""
    log = DropLog(state.drop_log)
    second = SetKey("duplicity", "20260102T120000Z", "inc", FIRST.end)
    finish(state, log, FULL, FIRST, second)
    for key in (FULL, FIRST, second):
        log.issue(key, sha256(b"").hexdigest())
    (state.outbox / second.receipt_name).touch()
    next(state.archive.glob("*-full.*.manifest")).unlink()
    assert clear(state, log, NOW) == {FULL: "its local metadata is gone"}
    assert [done.key for done in log.sets()] == [second]
    (state.outbox / second.receipt_name).unlink()
    assert clear(state, log, NOW) == {}
    assert log.sets() == []
    assert os.listdir(state.archive) == []


@pytest.mark.parametrize("damaged", ["manifest", "sigtar.gz", "pem"])
@pytest.mark.parametrize("now", ["who", "whale"])
def test_a_set_whose_metadata_is_damaged_is_forgotten(state: State, damaged: str, now: str) -> None:
    """Cut off, as by a power cut, or with other octets: duplicity would fail, or build on nonsense."""
    log = DropLog(state.drop_log)
    finish(state, log, FULL)
    assert clear(state, log, NOW) == {}
    next(state.root.rglob(f"*.{damaged}")).write_text(now)
    assert clear(state, log, NOW) == {FULL: "its local metadata is damaged"}
    assert os.listdir(state.archive) == []


def test_names_of_forgotten_sets_stay_on_record(state: State) -> None:
    from nightdrop.receipts import ReceiptFile

    log = DropLog(state.drop_log)
    finish(state, log, FULL)
    log.record(["mirror-a"], FULL, ReceiptFile(FULL.manifest_name, 1, "0" * 64))
    next(state.archive.iterdir()).unlink()
    clear(state, log, time.time())
    assert log.sets() == []
    assert list(log.files(FULL)) == [FULL.manifest_name]
