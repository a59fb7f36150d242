"""What is cleared, and what forgotten, before duplicity sees the local state."""

import os
import time
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
    for key in keys:
        log.finish(FinishedSet(key, 0, 0, 0, 0, 0, b""))
        for name in (key.manifest_name[: -len(".p7m")], f"{key.signatures_name[: -len('.p7m')]}.gz"):
            (state.archive / name).touch()


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


def test_a_set_from_the_future_is_forgotten(state: State) -> None:
    """A clock that was ahead, or is behind now."""
    log = DropLog(state.drop_log)
    finish(state, log, FULL, FIRST)
    forgotten = clear(state, log, parse_time(FIRST.end).timestamp() - 3600)
    assert list(forgotten) == [FIRST]
    assert "has not come yet" in forgotten[FIRST]
    assert [done.key for done in log.sets()] == [FULL]
    assert not any("inc" in name for name in os.listdir(state.archive))


@pytest.mark.parametrize("lost", ["manifest", "sigtar.gz"])
def test_a_set_that_lost_half_of_its_metadata_is_forgotten(state: State, lost: str) -> None:
    log = DropLog(state.drop_log)
    finish(state, log, FULL)
    [path] = state.archive.glob(f"*.{lost}")
    path.unlink()
    assert clear(state, log, NOW) == {FULL: "its local metadata is gone"}
    assert os.listdir(state.archive) == []


@pytest.mark.parametrize("damaged", ["manifest", "sigtar.gz"])
def test_a_set_whose_metadata_was_cut_off_is_forgotten(state: State, damaged: str) -> None:
    """As by a power cut: duplicity would fail, or take everything for new, and nothing for gone."""
    log = DropLog(state.drop_log)
    finish(state, log, FULL)
    for path in state.archive.iterdir():
        path.write_text("whole")
    keep_metadata(state.archive, log, FULL)
    assert clear(state, log, NOW) == {}
    next(state.archive.glob(f"*.{damaged}")).write_text("who")
    assert clear(state, log, NOW) == {FULL: "its local metadata is damaged"}
    assert os.listdir(state.archive) == []


def test_names_of_forgotten_sets_stay_on_record(state: State) -> None:
    from nightdrop.receipts import ReceiptFile

    log = DropLog(state.drop_log)
    finish(state, log, FULL)
    log.record("mirror-a", FULL, ReceiptFile(FULL.manifest_name, 1, "0" * 64))
    next(state.archive.iterdir()).unlink()
    clear(state, log, time.time())
    assert log.sets() == []
    assert list(log.files(FULL)) == [FULL.manifest_name]
