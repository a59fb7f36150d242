"""Losses: an error until somebody says that they know, a note from then on; and the next one an error."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from check.vaults import DAY, NIGHT, Mirror, Shelves
from nightdrop.names import SetKey, format_time
from nightdrop.receipts import Source
from nightdrop_check.findings import Finding

from house import complaint, run

WHY = "the disk of 3 March lost it"


class Lossy:
    """A mirror with a full and six incrementals of one host, a day apart, and another full."""

    def __init__(self, mirror: Mirror) -> None:
        mirror.enroll("web")
        self.mirror = mirror
        self.keys = [mirror.full("web", NIGHT)]
        for day in range(1, 7):
            self.keys.append(mirror.inc("web", self.keys[-1], NIGHT + timedelta(days=day)))
        self.shelves = Shelves(mirror.config, "web", NIGHT.timestamp() + 6.1 * DAY)

    def full(self) -> None:
        """Another full, a day later."""
        self.mirror.full("web", NIGHT + timedelta(days=7))
        self.shelves.now += DAY

    def lose(self, *numbers: int) -> None:
        """Take these sets away, every file of them."""
        for number in numbers:
            for path in self.shelves.folder.iterdir():
                if _is_of(self.keys[number], path.name):
                    path.unlink()

    def acknowledge(self, because: str = WHY) -> str:
        """Say that it is known; what that answers."""
        words = ("--because", because, "--by", "anna", "--config", self.mirror.config)
        return run("acknowledge", "web", *words).stdout

    def found(self, severity: str, *, cold: bool = False) -> list[Finding]:
        """What the check finds that is so severe, and that nothing is worse."""
        if cold:
            for path in self.shelves.mirror.state.glob("check.sqlite*"):
                path.unlink()
        report = self.shelves.check()
        order = ("error", "warning", "info")
        worse = [f for f in report.findings if order.index(f.severity) < order.index(severity)]
        assert worse == [], [f.sentence for f in worse]
        return [finding for finding in report.findings if finding.severity == severity]


def _is_of(key: SetKey, name: str) -> bool:
    return name.startswith(f"{key.stem}.") or name == key.signatures_name


@pytest.fixture
def lossy(mirror: Mirror) -> Lossy:
    return Lossy(mirror)


@pytest.mark.parametrize("cold", [False, True])
def test_an_acknowledged_loss_is_a_note_and_the_next_one_an_error(lossy: Lossy, cold: bool) -> None:
    assert lossy.found("info") == []
    lossy.lose(6)
    [found] = lossy.found("error", cold=cold)
    assert (found.code, found.subject) == ("broken-chain", lossy.keys[6].stem)
    assert "`nightdrop acknowledge web`" in found.hint
    assert f"web: 1 set acknowledged to be lost: {lossy.keys[6].stem}" in lossy.acknowledge()
    [found] = lossy.found("info", cold=cold)
    assert (found.code, found.subject) == ("broken-chain", lossy.keys[6].stem)
    assert f" acknowledged by anna on {datetime.now(UTC).date()}: {WHY}" in found.sentence
    lossy.lose(5)
    [found] = lossy.found("error", cold=cold)
    assert (found.subject, found.data["gone"]) == (lossy.keys[5].stem, [lossy.keys[5].stem])
    lossy.acknowledge("it lost this one, too")
    assert len(lossy.found("info", cold=cold)) == 2


@pytest.mark.parametrize("cold", [False, True])
def test_what_builds_on_a_loss_is_an_error_until_a_full(lossy: Lossy, cold: bool) -> None:
    """No word of anybody's makes the newest backup one that can be restored."""
    lossy.lose(2, 3)
    [found] = lossy.found("error", cold=cold)
    lossy.acknowledge()
    [found] = lossy.found("error", cold=cold)
    assert found.subject == lossy.keys[4].stem
    assert "3 sets cannot be restored" in found.sentence
    lossy.full()
    notes = lossy.found("info", cold=cold)
    assert len(notes) == 2
    assert ["acknowledged by anna" in each.sentence for each in notes].count(True) == 1
    assert any("what came since the next full can" in each.sentence for each in notes)


def test_no_full_makes_a_loss_known(lossy: Lossy) -> None:
    """It came here complete, and is gone: an error, whether others build on it or not."""
    lossy.lose(2, 3)
    lossy.full()
    [found] = lossy.found("error")
    assert found.subject == lossy.keys[4].stem
    assert "what came since the next full can (" in found.sentence
    lossy.acknowledge()
    assert len(lossy.found("info")) == 2


def test_what_hangs_by_another_set_is_told_as_before(lossy: Lossy) -> None:
    """That one never came here, so nobody has acknowledged that it is gone."""
    never_here = SetKey("duplicity", format_time(NIGHT + timedelta(days=7)), "inc", lossy.keys[6].end)
    lossy.mirror.inc("web", never_here, NIGHT + timedelta(days=8), previous="1" * 64)
    lossy.mirror.full("web", NIGHT + timedelta(days=9))
    lossy.shelves.now += 3 * DAY
    lossy.lose(6)
    assert len(lossy.found("error")) == 1
    lossy.acknowledge()
    [found] = lossy.found("warning")
    assert f"builds on a set of {never_here.end}" in found.sentence


def test_a_set_of_the_same_name_is_another_one(lossy: Lossy) -> None:
    """Its receipt differs. It came when the ledger had been made anew, and is lost, too."""
    lossy.lose(6)
    lossy.acknowledge()
    again, source = lossy.keys[6], Source(("/srv",), 10_000, 10, 0)
    lossy.shelves.sql("DELETE FROM drops WHERE name LIKE ?", f"%{again.end}.%")
    when = NIGHT + timedelta(days=6, minutes=1)
    lossy.mirror.put("web", again, when, sizes=(700,), source=source, previous="")
    assert lossy.found("info", cold=True) == []
    lossy.lose(6)
    [found] = lossy.found("error", cold=True)
    assert (found.code, found.subject) == ("broken-chain", again.stem)


def test_each_record_is_told_by_itself(lossy: Lossy) -> None:
    """By its own author, day and reason."""
    lossy.lose(6)
    lossy.acknowledge("the disk")
    lossy.lose(5)
    words = ("--because", "the copy", "--by", "berta", "--config", lossy.mirror.config)
    run("acknowledge", "web", *words)
    day = datetime.now(UTC).date()
    found = lossy.found("info")
    told = {(each.data["because"], each.sentence.partition(" acknowledged ")[2]) for each in found}
    assert told == {
        ("the disk", f"by anna on {day}: the disk"),
        ("the copy", f"by berta on {day}: the copy"),
    }


def test_a_loss_is_not_told_when_all_that_is_left_is_newer(lossy: Lossy) -> None:
    lossy.full()
    lossy.lose(3, 4, 5, 6)
    lossy.acknowledge()
    assert len(lossy.found("info")) == 1
    lossy.lose(0, 1, 2)
    (found,) = lossy.found("warning")
    assert "came here complete, are older than all that is left, and gone" in found.sentence
    assert found.data["gone"] == [key.stem for key in lossy.keys[:3]]
    assert "3 sets acknowledged" in lossy.acknowledge()
    assert lossy.found("info") == []


def test_a_set_that_came_back_is_not_told(lossy: Lossy) -> None:
    kept = {path: path.read_bytes() for path in lossy.shelves.folder.iterdir()}
    lossy.lose(6)
    lossy.acknowledge()
    for path, octets in kept.items():
        path.write_bytes(octets)
    assert lossy.found("info", cold=True) == []


def test_who_and_why_is_recorded(lossy: Lossy) -> None:
    lossy.lose(5, 6)
    said = lossy.acknowledge()
    [path] = (lossy.shelves.mirror.state / "acknowledged").iterdir()
    assert str(path) in said
    record = json.loads(path.read_bytes())
    assert (record["format"], record["by"], record["because"]) == ("nightdrop-loss/1", "anna", WHY)
    assert [each["set"] for each in record["sets"]] == [key.stem for key in lossy.keys[5:]]
    assert path.stat().st_mode & 0o777 == 0o600


def test_whoever_runs_it_behind_sudo_is_who_acknowledges(
    lossy: Lossy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SUDO_USER", "berta")
    lossy.lose(6)
    run("acknowledge", "web", "--because", WHY, "--config", lossy.mirror.config)
    assert lossy.found("info")[0].data["by"] == "berta"


def test_one_host_or_every_host_at_once(lossy: Lossy) -> None:
    lossy.mirror.enroll("db")
    first = lossy.mirror.full("db", NIGHT)
    lost = lossy.mirror.inc("db", first, NIGHT + timedelta(days=3))
    lossy.mirror.full("db", NIGHT + timedelta(days=6))
    for path in (lossy.shelves.mirror.vault / "db").iterdir():
        if _is_of(lost, path.name):
            path.unlink()
    lossy.lose(6)
    assert {f.host for f in lossy.found("error")} == {"web", "db"}
    lossy.acknowledge()
    assert {f.host for f in lossy.found("error")} == {"db"}
    run("acknowledge", "--all", "--because", WHY, "--config", lossy.mirror.config)
    assert {f.host for f in lossy.found("info")} == {"web", "db"}


def refuse(lossy: Lossy, *words: str, status: int = 1) -> str:
    return complaint(run("acknowledge", *words, "--config", lossy.mirror.config, expect=status))[0]


def test_what_cannot_be_acknowledged(lossy: Lossy) -> None:
    assert "no set of web is gone" in refuse(lossy, "web", "--because", WHY)
    assert "eve is not enrolled" in refuse(lossy, "eve", "--because", WHY)
    assert "--because" in refuse(lossy, "web", status=2)
    assert "--because" in refuse(lossy, "web", "--because", " ", status=2)
    assert "--all" in refuse(lossy, "--because", WHY, status=2)
    lossy.lose(6)
    lossy.acknowledge()
    assert "no set of web is gone that is not acknowledged yet" in refuse(lossy, "web", "--because", WHY)


def test_what_is_no_record(lossy: Lossy) -> None:
    """It acknowledges nothing, and that is said."""
    lossy.lose(6)
    lossy.acknowledge()
    [path] = (lossy.shelves.mirror.state / "acknowledged").iterdir()
    text = path.read_text()
    for octets in ("[" * 100_000, "{}", text.replace("loss/1", "loss/2"), text.replace('"web"', "7")):
        path.write_text(octets)
        findings = lossy.shelves.check().findings
        assert [(f.code, f.severity) for f in findings] == [
            ("broken-chain", "error"),
            ("could-not-look", "warning"),
        ]
        assert str(path) in findings[1].sentence.replace("\n", "")
    path.rename(path.with_suffix(".old"))
    assert [f.code for f in lossy.shelves.check().findings] == ["broken-chain"]


def test_no_text_of_it_reaches_a_terminal(lossy: Lossy) -> None:
    lossy.lose(6)
    lossy.acknowledge("\x1b[31mred\nnightdrop: all is well" + " and more" * 50)
    [found] = lossy.found("info")
    assert found.sentence.isprintable()
    assert len(found.sentence) < 500


def test_a_loss_of_a_mirror_that_was_put_back(lossy: Lossy, tmp_path: Path) -> None:
    """Its vault is of three days ago, its ledger of now: the host goes on, and a full makes it whole."""
    lossy.lose(4, 5, 6)
    lossy.keys.append(lossy.mirror.inc("web", lossy.keys[6], NIGHT + timedelta(days=7)))
    lossy.shelves.now += DAY
    assert len(lossy.found("error")) == 1
    lossy.acknowledge("put back from the copy of 4 March")
    [found] = lossy.found("error")
    assert "nightdrop backup --full" in found.hint
    lossy.mirror.full("web", NIGHT + timedelta(days=8))
    lossy.shelves.now += DAY
    assert len(lossy.found("info")) == 2
