"""The scrub: what it reads, when, and what it finds that nothing else could."""

from contextlib import closing
from datetime import UTC, datetime
from typing import BinaryIO

import pytest

from check.damages import append, flip
from check.vaults import DAY, HOUR, NIGHT, Mirror, Shelves
from nightdrop.errors import VaultError
from nightdrop.vault import FolderVault
from nightdrop_check.memory import Memory, memory_path
from nightdrop_check.scrub import Budget, scrub


def scrubbed_files(shelves: Shelves) -> int:
    """How many files the scrub has to read at first: the look itself reads receipts."""
    return sum(not path.name.endswith(".json") for path in shelves.folder.iterdir())


def test_scrub_reads_what_waits_longest_within_its_budget(shelves: Shelves) -> None:
    """A damage that only reading shows is told when its turn comes, and from then on."""
    budget = Budget(size=1)
    path = shelves.path("manifest", "inc", 1)
    flip(path)
    files = scrubbed_files(shelves)
    reports = [shelves.check(hour * HOUR, budget) for hour in range(files + 1)]
    assert [report.verified_files for report in reports] == [1] * files + [0]
    found = [[finding.code for finding in report.findings] for report in reports]
    assert found[0] == [] and found[-1] == ["corrupt"]
    assert found == sorted(found)
    # Receipts are read whole by every look at sets that are not settled.
    receipts = len(list(shelves.folder.glob("*.receipt.json")))
    covered = [report.coverage.files_read - receipts for report in reports if report.coverage]
    assert covered == [*range(1, files + 1), files]


def test_scrub_spends_no_more_time_than_it_may(shelves: Shelves) -> None:
    shelves.configure('[check]\nscrub_time = "0s"')
    report = shelves.check()
    assert (report.verified_files, report.findings) == (0, ())


def test_scrub_reads_again_after_a_week_or_a_change(shelves: Shelves) -> None:
    shelves.check()
    assert shelves.check(DAY).verified_files == 0
    files = len(list(shelves.folder.iterdir()))
    assert shelves.check(DAY, Budget(everything=True)).verified_files == files
    shelves.path("volume").touch()
    assert shelves.check(2 * DAY).verified_files == 1
    assert shelves.check(12 * DAY).verified_files == files


def test_bytes_that_change_without_a_trace(shelves: Shelves) -> None:
    """A disk that alters what it holds leaves the times of the file as they were."""
    shelves.check()
    path = shelves.path("volume")
    flip(path, at=900_000)
    changed = path.stat().st_ctime
    shelves.sql("UPDATE files SET changed = ? WHERE name = ?", changed, path.name, book="check")
    assert shelves.codes(after=DAY) == []
    shelves.configure('[[check.expect]]\nhosts = ["*"]\nlate_after = "20D"\n')
    assert shelves.codes(after=8 * DAY) == ["corrupt"]


def test_a_file_that_goes_on_while_it_is_read_is_the_next_looks(shelves: Shelves) -> None:
    """What the scrub was told of it holds no more, and proves nothing."""
    shelves.check()
    append(shelves.path("volume"), b"more")
    with closing(Memory(memory_path(shelves.mirror.state))) as memory:
        found = scrub(
            FolderVault(shelves.mirror.vault), memory, Budget(everything=True), shelves.now + DAY
        )
        assert memory.suspects(shelves.host) == frozenset()
    assert found.hosts == frozenset()
    assert shelves.codes(after=DAY + HOUR) == ["truncated"]


def test_bytes_that_change_where_nothing_else_knows_them(mirror: Mirror) -> None:
    """No receipts, no ledger: the digest that a file had when it was first read tells."""
    mirror.enroll("old")
    mirror.full("old", NIGHT, receipt=False, ledger=False)
    shelves = Shelves(mirror.config, "old", datetime.now(UTC).timestamp())
    assert shelves.codes() == []
    path = shelves.path("volume")
    flip(path, at=5000)
    assert shelves.only(after=DAY).code == "corrupt"


def test_what_cannot_be_read_any_more_is_not_verified(
    shelves: Shelves, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That it could be, a day ago, covers nothing."""
    bad, whole_open = shelves.name("volume"), FolderVault.open

    def failing_open(self: FolderVault, host: str, name: str) -> BinaryIO:
        if name == bad:
            raise VaultError(f"cannot read {name}: Input/output error")
        return whole_open(self, host, name)

    before = shelves.check().coverage
    monkeypatch.setattr(FolderVault, "open", failing_open)
    after = shelves.check(DAY, Budget(everything=True)).coverage
    assert before is not None and after is not None
    assert (before.files_read, after.files_read) == (before.files, before.files - 1)


def test_scrub_that_is_overdue(shelves: Shelves) -> None:
    shelves.configure('[check]\nscrub_time = "0s"\nlate_after = "200D"\nfull_late_after = "200D"')
    assert shelves.codes() == []
    found = shelves.only(after=100 * DAY)
    assert (found.code, found.severity) == ("scrub-overdue", "warning")
