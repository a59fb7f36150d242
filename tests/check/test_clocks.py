"""Clocks that were wrong, and names that lie about their time: what is said, what they must not hide."""

from datetime import UTC, datetime, timedelta

import pytest

from check.vaults import DAY, HOUR, NIGHT, Mirror, Shelves
from nightdrop.names import SetKey, format_time
from nightdrop.receipts import ReceiptFile, Source, digest


def test_ages_are_by_the_mirrors_clock(mirror: Mirror) -> None:
    """A client may name its sets as it likes: what counts is when they came."""
    mirror.enroll("web")
    mirror.full("web", NIGHT + timedelta(days=999))
    shelves = Shelves(mirror.config, "web", (NIGHT + timedelta(days=5)).timestamp())
    shelves.sql("UPDATE drops SET received = ?", NIGHT.timestamp())
    assert shelves.codes() == ["clock-skew", "late"]


def test_clock_that_is_ahead(shelves: Shelves) -> None:
    shelves.sql("UPDATE drops SET received = received - ?", 2.5 * HOUR)
    found = shelves.only()
    assert (found.code, found.severity) == ("clock-skew", "warning")
    assert "2 h ahead of" in found.sentence


def test_clock_that_is_behind(shelves: Shelves) -> None:
    shelves.sql("UPDATE drops SET received = received + ?", 3 * DAY)
    found = shelves.only(after=3 * DAY)
    assert (found.code, found.severity) == ("clock-skew", "warning")
    assert "3 days behind" in found.sentence


def test_a_set_from_the_future(mirror: Mirror) -> None:
    """Its receipt tells the truth. Only its name, by which restoring goes, is ahead."""
    mirror.enroll("web")
    mirror.full("web", NIGHT)
    mirror.put("web", SetKey("duplicity", "20991231T235959Z", "full"), NIGHT + timedelta(days=1))
    base = mirror.full("web", NIGHT + timedelta(days=2))
    for days in (2, 300):
        mirror.inc("web", base, NIGHT + timedelta(days=days, hours=1), previous="")
        shelves = Shelves(mirror.config, "web", (NIGHT + timedelta(days=days, hours=2)).timestamp())
        [found] = [each for each in shelves.check().findings if each.code == "clock-skew"]
        assert (found.severity, found.subject) == ("error", "duplicity-full.20991231T235959Z")
        assert "came before the time in the name" in found.sentence


def test_a_clock_that_was_two_days_ahead(mirror: Mirror) -> None:
    """What it dropped is told, as an error as long as a restore would take it for the newest. It may be
    removed, and so may what came before it, which is told of as long as nobody says that they know.
    """
    mirror.enroll("web")
    mirror.full("web", NIGHT)
    mirror.put(
        "web",
        SetKey("duplicity", format_time(NIGHT + timedelta(days=3)), "full"),
        NIGHT + timedelta(days=1),
    )
    mirror.full("web", NIGHT + timedelta(days=2))
    shelves = Shelves(mirror.config, "web", (NIGHT + timedelta(days=2, hours=1)).timestamp())
    found = shelves.only()
    assert (found.code, found.severity) == ("clock-skew", "error")
    found = shelves.only(after=DAY)
    assert (found.code, found.severity) == ("clock-skew", "warning")
    shelves.remove_set("full", 2)
    assert [f.code for f in shelves.check().findings if f.severity == "error"] == []
    shelves.remove_set("full", 0)
    found = shelves.only()
    assert (found.code, found.severity) == ("broken-chain", "warning")
    assert "is older than all that is left" in found.sentence


@pytest.fixture
def once_behind(mirror: Mirror) -> Shelves:
    """Three fulls of a clock that was behind for one of them: the oldest by its name, and not by when it
    came.
    """
    mirror.enroll("web")
    mirror.full("web", NIGHT)
    mirror.put(
        "web",
        SetKey("duplicity", format_time(NIGHT - timedelta(days=2)), "full"),
        NIGHT + timedelta(days=1),
    )
    mirror.full("web", NIGHT + timedelta(days=2))
    return Shelves(mirror.config, "web", (NIGHT + timedelta(days=2, hours=1)).timestamp())


@pytest.mark.parametrize("removed", [0, 1])
def test_room_made_after_a_clock_was_behind(once_behind: Shelves, removed: int) -> None:
    """Of what is named as the first, or of what came first: either is old, and no loss among others."""
    once_behind.remove_set("full", removed)
    found = {each.severity for each in once_behind.check().findings if each.code == "broken-chain"}
    assert found == {"warning"}


def test_a_set_that_is_put_into_the_past(mirror: Mirror) -> None:
    """Made up after a break-in, and called as if it were from before: said when it comes."""
    mirror.enroll("web")
    for days in range(10):
        mirror.full("web", NIGHT + timedelta(days=days))
    made_up = SetKey("duplicity", format_time(NIGHT + timedelta(days=3, hours=1)), "full")
    mirror.put("web", made_up, NIGHT + timedelta(days=9, hours=9))
    mirror.full("web", NIGHT + timedelta(days=10))
    shelves = Shelves(mirror.config, "web", (NIGHT + timedelta(days=10, hours=1)).timestamp())
    found = shelves.only()
    assert (found.code, found.severity, found.subject) == ("clock-skew", "warning", made_up.stem)
    assert "came a day or more after the time in the name" in found.sentence
    # And as long as it is there, if not as loud.
    later = [each for each in shelves.check(90 * DAY).findings if each.code == "clock-skew"]
    assert [(each.severity, each.subject) for each in later] == [("info", made_up.stem)]


@pytest.mark.parametrize("settled", [False, True])
def test_an_incremental_that_is_put_into_the_past(mirror: Mirror, settled: bool) -> None:
    """Of a time since which nothing came: no set with a later name was there before it."""
    mirror.enroll("web")
    begin = datetime.now(UTC) - timedelta(days=4, hours=2)
    base = mirror.full("web", begin)
    made_up = SetKey("duplicity", format_time(begin + timedelta(days=2)), "inc", base.end)
    mirror.put("web", made_up, begin + timedelta(days=4), sizes=(700,))
    mirror.full("web", begin + timedelta(days=4, hours=1))
    shelves = Shelves(mirror.config, "web", (begin + timedelta(days=4, hours=3)).timestamp())
    if settled:
        shelves.check()
        assert ("settled",) in shelves.sql("SELECT 'settled' FROM settled_sets", book="check")
    found = shelves.only()
    assert (found.code, found.severity, found.subject) == ("clock-skew", "warning", made_up.stem)
    assert "came a day or more after the time in the name" in found.sentence
    # A file system's time is that of whoever copied the vault: only the ledger's is held against it.
    shelves.forget()
    assert "clock-skew" not in shelves.codes()


def test_a_vault_that_was_copied_without_its_ledger(mirror: Mirror) -> None:
    """The times of its files are those of the copy: no host's clock is behind for that."""
    mirror.enroll("web")
    when = datetime.now(UTC) - timedelta(days=9)
    last = mirror.full("web", when, ledger=False)
    for day in range(1, 9):
        last = mirror.inc("web", last, when + timedelta(days=day), ledger=False)
    assert Shelves(mirror.config, "web", datetime.now(UTC).timestamp()).codes() == []


def test_mirror_whose_clock_went_back(shelves: Shelves) -> None:
    found = shelves.only(after=-2 * DAY)
    assert (found.code, found.severity, found.host) == ("clock-skew", "error", "")


AHEAD = SetKey("duplicity", "20990101T000000Z", "full")
"""A set that a host, or whoever rules it, dated ahead."""


def dated_ahead(mirror: Mirror, when: datetime, key: SetKey = AHEAD) -> None:
    mirror.enroll("web")
    mirror.full("web", when)
    mirror.put("web", key, when + timedelta(hours=1))


def test_a_set_from_the_future_is_told_of_as_long_as_it_is_there(mirror: Mirror) -> None:
    """While a restore takes it for the newest it is an error, for a month a warning, then a note."""
    key = SetKey("duplicity", format_time(NIGHT + timedelta(days=100)), "full")
    dated_ahead(mirror, NIGHT, key)
    told = {}
    for day in (1, 60, 99, 101, 130, 140, 299):
        mirror.full("web", NIGHT + timedelta(days=day, hours=-1))
        shelves = Shelves(mirror.config, "web", (NIGHT + timedelta(days=day)).timestamp())
        [found] = [each for each in shelves.check().findings if each.code == "clock-skew"]
        told[day] = found.severity
        assert ("takes it for the newest until 2026-06-09 02:30 UTC" in found.sentence) == (day < 100)
    assert list(told.values()) == ["error"] * 3 + ["warning"] * 2 + ["info"] * 2


def test_a_set_from_the_future_hides_no_backup_that_is_late(mirror: Mirror) -> None:
    dated_ahead(mirror, NIGHT)
    shelves = Shelves(mirror.config, "web", NIGHT.timestamp() + 5 * DAY)
    assert sorted(shelves.codes()) == ["clock-skew", "late"]
    assert shelves.check().hosts[0].newest_set == NIGHT.timestamp() + HOUR


def test_a_set_from_the_future_hides_no_run_that_died(mirror: Mirror) -> None:
    dated_ahead(mirror, NIGHT)
    full = mirror.full("web", NIGHT + timedelta(days=1))
    mirror.inc("web", full, NIGHT + timedelta(days=2), receipt=False)
    shelves = Shelves(mirror.config, "web", NIGHT.timestamp() + 2 * DAY + HOUR)
    assert shelves.codes() == ["clock-skew"]
    found = {f.code: f.severity for f in shelves.check(1.5 * DAY).findings}
    assert found == {"clock-skew": "error", "incomplete": "warning"}


def test_a_run_that_died_under_a_clock_that_was_ahead_is_made_up_for(mirror: Mirror) -> None:
    """By a set that came later, whatever their names say."""
    mirror.enroll("web")
    mirror.full("web", NIGHT)
    mirror.put("web", AHEAD, NIGHT + timedelta(hours=1), receipt=False)
    mirror.full("web", NIGHT + timedelta(days=1))
    shelves = Shelves(mirror.config, "web", NIGHT.timestamp() + 2 * DAY)
    found = {f.code: f.severity for f in shelves.check().findings}
    assert found == {"clock-skew": "error", "incomplete": "info"}


def test_a_set_from_the_future_hides_no_source_that_failed(mirror: Mirror) -> None:
    dated_ahead(mirror, NIGHT)
    mirror.full("web", NIGHT + timedelta(days=1), source=Source(("/etc",), 10_000, 10, 3))
    shelves = Shelves(mirror.config, "web", NIGHT.timestamp() + DAY + HOUR)
    assert sorted(shelves.codes()) == ["clock-skew", "source-errors"]


def test_a_set_from_the_future_mends_no_chain(mirror: Mirror) -> None:
    dated_ahead(mirror, NIGHT)
    gone = SetKey("duplicity", format_time(NIGHT + timedelta(hours=2)), "full")
    mirror.inc("web", gone, NIGHT + timedelta(days=1))
    shelves = Shelves(mirror.config, "web", NIGHT.timestamp() + DAY + HOUR)
    found = {f.code: f.severity for f in shelves.check().findings}
    assert found == {"clock-skew": "error", "broken-chain": "error"}


def test_a_clock_that_is_a_little_ahead_hides_no_set_from_the_future(mirror: Mirror) -> None:
    dated_ahead(mirror, NIGHT)
    when = NIGHT + timedelta(days=1)
    mirror.put("web", SetKey("duplicity", format_time(when), "full"), when, receipt=False)
    # What its receipt says is an hour ahead of when it comes.
    names = [path.name for path in (mirror.vault / "web").iterdir() if format_time(when) in path.name]
    files = [
        ReceiptFile(name, len(octets), digest(octets))
        for name in sorted(names)
        for octets in [(mirror.vault / "web" / name).read_bytes()]
    ]
    key = SetKey("duplicity", format_time(when), "full")
    mirror.receipt("web", key, files, when + timedelta(hours=1))
    shelves = Shelves(mirror.config, "web", when.timestamp() + 2 * HOUR)
    shelves.sql("UPDATE drops SET received = received - 3600 WHERE name = ?", key.receipt_name)
    told = [(f.code, f.severity) for f in shelves.check().findings]
    assert told == [("clock-skew", "error"), ("clock-skew", "warning")]


def test_a_clock_that_was_a_quarter_of_an_hour_ahead(mirror: Mirror) -> None:
    """Soon everything is in order again, and nobody need hear of it for a month."""
    mirror.enroll("web")
    ahead = SetKey("duplicity", format_time(NIGHT + timedelta(minutes=15)), "full")
    mirror.put("web", ahead, NIGHT)
    mirror.full("web", NIGHT + timedelta(hours=1))
    assert Shelves(mirror.config, "web", NIGHT.timestamp() + 2 * HOUR).codes() == []
