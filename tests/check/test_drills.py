"""Drills: the check asks for one that is due, and says so when not everything came back."""

import pytest

from check.vaults import DAY, Shelves
from nightdrop.drills import Drill, DrilledHost
from nightdrop_check.findings import Finding
from nightdrop_check.memory import Memory
from nightdrop_check.reports.as_text import to_text

from house import HOST


def record(shelves: Shelves, days: float, good: int = 12) -> None:
    """A drill so many days ago."""
    host = DrilledHost(HOST, "duplicity-full.20260102T030405Z", 12, good, 80_000_000, 31.0)
    drill = Drill(float(int(shelves.now - days * DAY)), (host,))
    folder = shelves.mirror.state / "drills"
    folder.mkdir(exist_ok=True)
    (folder / drill.name).write_bytes(drill.to_bytes())


def only(shelves: Shelves) -> Finding:
    """The one finding there is."""
    [found] = shelves.check().findings
    assert found.code == "drill-due"
    return found


def test_the_last_drill_is_told(shelves: Shelves) -> None:
    record(shelves, 100)
    record(shelves, 40)
    report = shelves.check()
    assert report.findings == ()
    assert "Last drill: 40 days ago, 12 of 12 files, 80 MB in 31 s." in to_text(report)


def test_one_that_is_due(shelves: Shelves) -> None:
    record(shelves, 200)
    found = only(shelves)
    assert (found.code, found.severity) == ("drill-due", "info")
    assert found.sentence == "the last drill was 200 days ago"
    assert "restore drill" in found.hint
    shelves.configure('[check]\ndrill_every = "0s"')
    assert shelves.codes() == []


def test_none_yet(shelves: Shelves) -> None:
    """Asked for when the mirror has been looked at for long enough."""
    assert shelves.codes() == []
    memory = Memory(shelves.mirror.state / "check.sqlite")
    memory.set_mark("begun", str(shelves.now - 190 * DAY))
    memory.close()
    found = only(shelves)
    assert found.sentence == "nobody has tried yet, in 190 days, whether backups can be restored"


@pytest.mark.parametrize("good", [0, 11])
def test_one_that_went_wrong(shelves: Shelves, good: int) -> None:
    record(shelves, 3, good)
    found = only(shelves)
    assert found.severity == "warning"
    assert f"3 days ago, {good} of 12 files" in found.sentence


def test_what_is_no_record(shelves: Shelves) -> None:
    (shelves.mirror.state / "drills").mkdir()
    (shelves.mirror.state / "drills" / "drill.json").write_text("[" * 100_000)
    [found] = shelves.check().findings
    assert (found.code, found.severity) == ("could-not-look", "warning")
    assert "it is no record of a drill" in found.sentence
