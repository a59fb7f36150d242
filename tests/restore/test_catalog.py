"""Which chain is chosen for a moment, and how moments are written."""

from datetime import UTC, datetime

import pytest

from nightdrop.errors import NightdropError, UsageError
from nightdrop.names import SetKey
from nightdrop_restore.vaults.catalog import NEWEST, StoredSet, chain_at, parse_moment, passed_over

NOW = datetime(2026, 3, 10, 12, 0, tzinfo=UTC)


def made(key: SetKey, problem: str) -> StoredSet:
    return StoredSet(key, {} if "manifest" in problem else {key.manifest_name: ()})


def full(end: str, problem: str = "") -> StoredSet:
    return made(SetKey("duplicity", f"202603{end}T000000Z", "full"), problem)


def inc(start: str, end: str, problem: str = "") -> StoredSet:
    key = SetKey("duplicity", f"202603{end}T000000Z", "inc", f"202603{start}T000000Z")
    return made(key, problem)


def days(sets: list[StoredSet], moment: str) -> list[str]:
    return [one.key.end[6:8] for one in chain_at(sets, parse_moment(moment, NOW))]


def test_newest_chain() -> None:
    sets = [full("01"), inc("01", "02"), full("05"), inc("05", "06"), inc("06", "07")]
    assert days(sets, "now") == ["05", "06", "07"]
    assert days(sets, "2026-03-06") == ["05", "06"]
    assert days(sets, "2026-03-04") == ["01", "02"]
    assert days(sets, "2026-03-05T23:00-02:00") == ["05", "06"]


def test_of_two_on_one_set_the_one_asked_for() -> None:
    """A machine that went back in time builds twice on one set."""
    sets = [full("01"), inc("01", "02"), inc("01", "03"), inc("03", "04")]
    assert days(sets, "now") == ["01", "03", "04"]
    assert days(sets, "2026-03-02") == ["01", "02"]


def test_what_cannot_be_restored_is_passed_over() -> None:
    sets = [full("01"), inc("01", "02"), inc("02", "03", "it lacks its manifest"), inc("03", "04")]
    assert days(sets, "now") == ["01", "02"]
    assert [one.key.end[6:8] for one in passed_over(sets, sets[:2], NEWEST)] == ["03", "04"]
    with pytest.raises(NightdropError, match="that can be restored from 20260228T235959Z or before"):
        days(sets, "2026-02-28")
    with pytest.raises(NightdropError, match=r"no backup that can be restored \(1 set from then cannot"):
        days([full("01", "it lacks its manifest")], "now")


def test_what_builds_on_nothing_takes_no_full_s_place() -> None:
    """Whoever has a host's password can drop a set that ends when a full of the host did."""
    sets = [full("02"), inc("01", "02"), inc("02", "03")]
    assert [one.key.type for one in chain_at(sets, NEWEST)] == ["full", "inc"]
    assert days(sets, "2026-03-02") == ["02"]


def test_what_lacks_a_volume_is_not_passed_over() -> None:
    assert days([full("01"), inc("01", "02", "it lacks volume 1"), inc("02", "03")], "now")[-1] == "03"


def test_a_set_from_a_clock_that_was_ahead_is_the_newest() -> None:
    assert days([full("01"), full("28")], "now") == ["28"]


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("3D", "20260307T120000Z"),
        ("12h", "20260310T000000Z"),
        ("2026-03-01", "20260301T235959Z"),
        ("2026-03-01T10:00", "20260301T100000Z"),
        ("2026-03-01T10:00:01+01:00", "20260301T090001Z"),
        ("20260301T100000Z", "20260301T100000Z"),
    ],
)
def test_moments(text: str, moment: str) -> None:
    assert parse_moment(text, NOW) == moment


@pytest.mark.parametrize(
    "text", ["", "soon", "3X", "2026-13-01", "-1D", "0001-01-01T00:00+14:00", "9999999D"]
)
def test_no_moments(text: str) -> None:
    with pytest.raises(UsageError, match="is not a time"):
        parse_moment(text, NOW)
