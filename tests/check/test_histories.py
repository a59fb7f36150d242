"""Histories that a real run would take a year for: what is no alarm, and what is one."""

from datetime import timedelta

import pytest

from check.vaults import DAY, HOUR, NIGHT, Mirror, Shelves, random_octets, seal
from nightdrop.names import SetKey, format_time
from nightdrop.receipts import ReceiptFile, digest
from nightdrop_check.findings import Finding
from nightdrop_check.scrub import Budget


def judged(mirror: Mirror, host: str, days: float, hours: float = 6) -> list[Finding]:
    """What is found that long after the first night."""
    now = NIGHT.timestamp() + days * DAY + hours * HOUR
    return list(Shelves(mirror.config, host, now).check().findings)


def test_monthly_fulls_with_daily_incrementals(mirror: Mirror) -> None:
    mirror.enroll("web")
    last = mirror.full("web", NIGHT)
    for day in range(1, 70):
        when = NIGHT + timedelta(days=day)
        last = mirror.full("web", when) if day % 30 == 0 else mirror.inc("web", last, when)
    assert judged(mirror, "web", 69) == []


def test_full_that_is_due(mirror: Mirror) -> None:
    mirror.enroll("web")
    last = mirror.full("web", NIGHT)
    for day in (10, 37, 38):
        last = mirror.inc("web", last, NIGHT + timedelta(days=day))
    (found,) = judged(mirror, "web", 38)
    assert (found.code, found.severity) == ("late", "warning")
    assert "newest full" in found.sentence


def test_runs_that_take_long(mirror: Mirror) -> None:
    """A network away for half an hour, and fulls that take two days: in volumes, or in one file."""
    for host in ("web", "far", "door"):
        mirror.enroll(host)
    key = SetKey("duplicity", format_time(NIGHT), "full")
    mirror.put("web", key, NIGHT + timedelta(minutes=40))
    mirror.put("far", key, NIGHT + timedelta(hours=3), receipt=False)
    files = [
        ReceiptFile(path.name, path.stat().st_size, digest(path.read_bytes()))
        for path in (mirror.vault / "far").iterdir()
    ]
    mirror.receipt("far", key, files, NIGHT + timedelta(days=2), started=NIGHT)
    stream, size = SetKey("zroot", format_time(NIGHT), "full"), 20_000_000_000
    envelope = seal(random_octets("stream", 200_000), mirror.recipients)
    name = f"{stream.stem}.zfs.p7m"
    mirror.drop("door", name, envelope[:-4096], NIGHT + timedelta(days=2))
    with (mirror.vault / "door" / name).open("r+b") as file:
        file.seek(size - 4096)
        file.write(envelope[-4096:])
    book = Shelves(mirror.config, "door", NIGHT.timestamp() + 2 * DAY + 6 * HOUR)
    book.sql("UPDATE drops SET size = ?, sha256 = ? WHERE name = ?", size, "0" * 64, name)
    stated = [ReceiptFile(name, size, "0" * 64)]
    mirror.receipt("door", stream, stated, NIGHT + timedelta(days=2), started=NIGHT)
    for look in range(2):
        assert book.check(look, Budget(seconds=0)).findings == ()


def test_nothing_yet(mirror: Mirror) -> None:
    mirror.enroll("new", enrolled=NIGHT.isoformat())
    (found,) = judged(mirror, "new", 1)
    assert (found.code, found.severity) == ("missing", "info")
    (found,) = judged(mirror, "new", 4)
    assert (found.code, found.severity) == ("missing", "error")
    (mirror.vault / "new").rmdir()
    (found,) = judged(mirror, "new", 4)
    assert (found.code, found.severity) == ("missing", "error")


def test_first_run_is_on_its_way(mirror: Mirror) -> None:
    mirror.enroll("new", enrolled=NIGHT.isoformat())
    key = mirror.full("new", NIGHT, receipt=False)
    (mirror.vault / "new" / key.manifest_name).unlink()
    (found,) = judged(mirror, "new", 0)
    assert (found.code, found.severity) == ("missing", "info")


def test_run_that_died_and_one_that_did_not(mirror: Mirror) -> None:
    mirror.enroll("web")
    full = mirror.full("web", NIGHT)
    mirror.inc("web", full, NIGHT + timedelta(days=1), receipt=False)
    assert judged(mirror, "web", 1) == []
    (found,) = judged(mirror, "web", 2)
    assert (found.code, found.severity) == ("incomplete", "warning")
    mirror.inc("web", full, NIGHT + timedelta(days=2))
    (found,) = judged(mirror, "web", 2)
    assert (found.code, found.severity) == ("incomplete", "info")


def test_many_runs_that_died_are_one_finding(mirror: Mirror) -> None:
    mirror.enroll("web")
    full = mirror.full("web", NIGHT)
    for day in range(1, 6):
        mirror.inc("web", full, NIGHT + timedelta(days=day), receipt=False)
    mirror.inc("web", full, NIGHT + timedelta(days=6))
    (found,) = judged(mirror, "web", 6)
    assert (found.code, found.severity) == ("incomplete", "info")
    assert "2 more were never finished" in found.sentence


def test_mirror_that_was_away_for_a_night(
    mirror: Mirror, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """The set went to the other mirror only. The chain is broken here until the next full."""
    mirror.enroll("web")
    full = mirror.full("web", NIGHT)
    missed = SetKey("duplicity", format_time(NIGHT + timedelta(days=1)), "inc", full.end)
    last = mirror.inc("web", missed, NIGHT + timedelta(days=2), previous="1" * 64)
    (found,) = judged(mirror, "web", 2)
    assert (found.code, found.severity) == ("broken-chain", "error")
    assert "1 set cannot be restored from this mirror" in found.sentence
    mirror.inc("web", last, NIGHT + timedelta(days=3))
    (found,) = judged(mirror, "web", 3)
    assert "2 sets cannot be restored from this mirror" in found.sentence
    mirror.full("web", NIGHT + timedelta(days=4))
    (found,) = judged(mirror, "web", 4)
    assert (found.code, found.severity) == ("broken-chain", "warning")


def test_mirror_that_went_away_during_a_run(mirror: Mirror) -> None:
    """It has some of the set; the host finished it elsewhere and went on."""
    mirror.enroll("web")
    full = mirror.full("web", NIGHT)
    partial = mirror.inc("web", full, NIGHT + timedelta(days=1), receipt=False)
    last = mirror.inc("web", partial, NIGHT + timedelta(days=2), previous="1" * 64)
    (found,) = judged(mirror, "web", 2)
    assert (found.code, found.severity, found.subject) == ("incomplete", "error", partial.stem)
    mirror.full("web", NIGHT + timedelta(days=3))
    mirror.inc("web", last, NIGHT + timedelta(days=4))
    (found,) = judged(mirror, "web", 4)
    assert (found.code, found.severity, found.subject) == ("incomplete", "warning", partial.stem)


def test_set_that_this_mirror_missed_before_a_full(mirror: Mirror) -> None:
    mirror.enroll("web")
    mirror.full("web", NIGHT)
    missed = mirror.full("web", NIGHT + timedelta(days=2), previous="1" * 64)
    (found,) = judged(mirror, "web", 2)
    assert (found.code, found.severity, found.subject) == ("broken-chain", "warning", missed.stem)
    # Nothing mends that: it is not repeated for years.
    mirror.full("web", NIGHT + timedelta(days=60))
    (found,) = judged(mirror, "web", 60)
    assert (found.code, found.severity, found.subject) == ("broken-chain", "info", missed.stem)


def test_old_chain_removed_by_hand(mirror: Mirror) -> None:
    """Nobody pruned it: what is at the end is not told from what is lost."""
    mirror.enroll("web")
    mirror.full("web", NIGHT)
    mirror.full("web", NIGHT + timedelta(days=1))
    shelves = Shelves(mirror.config, "web", (NIGHT + timedelta(days=1, hours=6)).timestamp())
    shelves.remove_set("full", 0)
    found = shelves.only()
    assert (found.code, found.severity) == ("broken-chain", "warning")
    assert found.sentence.endswith("came here complete, is older than all that is left, and gone")


def test_mirror_that_is_younger_than_the_host(mirror: Mirror) -> None:
    mirror.enroll("web")
    mirror.full("web", NIGHT, previous="1" * 64)
    assert judged(mirror, "web", 0) == []


def test_receipts_that_promise_too_little(mirror: Mirror) -> None:
    mirror.enroll("web")
    key = SetKey("duplicity", format_time(NIGHT), "full")
    names = [f"{key.stem}.vol1.difftar.p7m", f"{key.stem}.vol3.difftar.p7m", key.signatures_name]
    mirror.put("web", key, NIGHT, names=names, sizes=(500, 500, 500))
    (found,) = judged(mirror, "web", 0)
    assert found.code == "incomplete"
    assert "does not name volume 2 and its manifest" in found.sentence


def shell_set(mirror: Mirror, kind: str, set_type: str, day: int, **more: object) -> SetKey:
    when = NIGHT + timedelta(days=day)
    key = SetKey(kind, format_time(when), set_type)  # type: ignore[arg-type]
    mirror.put("door", key, when, names=[f"{key.stem}.tar.p7m"], sizes=(999,), **more)  # type: ignore[arg-type]
    return key


def test_shell_host_with_several_kinds(mirror: Mirror) -> None:
    mirror.enroll("door", "shell")
    for day in range(5):
        shell_set(mirror, "conf", "full", day)
        shell_set(mirror, "zroot", "inc" if day else "full", day)
    assert judged(mirror, "door", 4) == []
    for day in range(5, 9):
        shell_set(mirror, "zroot", "inc", day)
    (found,) = judged(mirror, "door", 8)
    assert found.code == "late"
    assert "of conf" in found.sentence


def test_shell_host_whose_incrementals_have_no_full(mirror: Mirror) -> None:
    mirror.enroll("door", "shell")
    shell_set(mirror, "zroot", "inc", 0)
    shell_set(mirror, "zroot", "inc", 1)
    (found,) = judged(mirror, "door", 1)
    assert found.code == "broken-chain"
    assert "a full that is not here" in found.sentence


def test_shell_host_whose_run_died_between_others(mirror: Mirror) -> None:
    mirror.enroll("door", "shell")
    shell_set(mirror, "zroot", "full", 0)
    shell_set(mirror, "zroot", "inc", 1, receipt=False)
    shell_set(mirror, "zroot", "inc", 2)
    (found,) = judged(mirror, "door", 2)
    assert (found.code, found.severity) == ("incomplete", "info")


@pytest.fixture
def stock(mirror: Mirror) -> Shelves:
    """A host that never heard of receipts."""
    mirror.enroll("old")
    last = mirror.full("old", NIGHT, receipt=False)
    mirror.inc("old", last, NIGHT + timedelta(days=1), receipt=False)
    return Shelves(mirror.config, "old", NIGHT.timestamp() + 2 * DAY)


def test_no_receipts_at_all(stock: Shelves) -> None:
    assert stock.codes() == []
    assert stock.codes(after=3 * DAY) == ["late"]
    assert stock.check().hosts[0].sets == 2


def test_no_receipts_and_a_volume_gone(stock: Shelves) -> None:
    stock.path("volume").unlink()
    (found,) = stock.check().findings
    assert (found.code, found.severity) == ("incomplete", "error")
    assert "volume 1" in found.sentence


def test_no_receipts_and_a_run_that_died(stock: Shelves) -> None:
    stock.path("manifest", "inc").unlink()
    assert stock.codes() == []
    (found,) = stock.check(after=HOUR).findings
    assert (found.code, found.severity) == ("incomplete", "warning")
