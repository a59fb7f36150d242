"""What a look remembers spares the next one work, and hides nothing from it."""

import time
from datetime import UTC, datetime, timedelta

import pytest

from check.damages import cut
from check.vaults import HOUR, Mirror, Shelves, seal
from nightdrop.envelope.recipients import parse_recipients
from nightdrop.vault import FolderVault
from nightdrop_check import listings
from nightdrop_check.scrub import Budget

from house import HOST


def test_settled_sets_are_not_read_again(shelves: Shelves, monkeypatch: pytest.MonkeyPatch) -> None:
    shelves.settle()

    def refuse(*arguments: object) -> object:
        raise AssertionError(arguments)

    monkeypatch.setattr(FolderVault, "open", refuse)
    monkeypatch.setattr(FolderVault, "ends", refuse)
    assert shelves.check(2 * HOUR, Budget(seconds=0)).findings == ()


def test_what_is_told_of_a_set_is_told_again(mirror: Mirror, stranger: bytes) -> None:
    """A set that is whole, and that nobody touches, is not settled while there is something to say."""
    mirror.enroll("web")
    them = parse_recipients(stranger, "them")
    mirror.full("web", datetime.now(UTC) - timedelta(hours=1), recipients=them)
    shelves = Shelves(mirror.config, "web", time.time())
    for hours in range(1, 4):
        assert shelves.codes(after=hours * HOUR) == ["wrong-recipient"]


def test_what_changed_just_now_is_not_settled(shelves: Shelves) -> None:
    """It may change again within what its file system takes for one time."""
    volume = shelves.path("volume")
    volume.touch()
    changed = volume.stat().st_ctime - shelves.now
    for seconds, settled in ((5, False), (60, True)):
        assert shelves.codes(after=changed + seconds) == []
        stems = [str(stem) for (stem,) in shelves.sql("SELECT stem FROM settled_sets", book="check")]
        assert any(volume.name.startswith(f"{stem}.") for stem in stems) == settled


def test_what_the_scrub_finds_unsettles(shelves: Shelves) -> None:
    """The disk altered a receipt, and no time of the file tells."""
    shelves.settle()
    path = shelves.path("receipt", "inc", 1)
    path.write_bytes(path.read_bytes().replace(b'"tool": "n', b'"tool": "m'))
    stands = path.stat().st_ctime
    shelves.sql("UPDATE files SET changed = ? WHERE name = ?", stands, path.name, book="check")
    listing = FolderVault(shelves.mirror.vault).list(shelves.host)
    seen = listings.digest(entry for entry in listing if entry.name.startswith(path.name[:-13]))
    shelves.sql("UPDATE settled_sets SET listing = ? WHERE stem = ?", seen, path.name[:-13], book="check")
    marks = [str(mark) for (mark,) in shelves.sql("SELECT listing FROM settled_sets", book="check")]
    glance = listings.take_glance(listing, {entry.name for entry in listing}, marks)
    shelves.sql("UPDATE glances SET listed = ?, listing = ?", *glance[:2], book="check")
    assert shelves.codes(after=2 * HOUR) == []
    assert shelves.check(3 * HOUR, Budget(everything=True)).findings[0].code == "corrupt"
    assert shelves.only(after=4 * HOUR).code == "corrupt"


def test_a_set_that_is_not_remembered_is_judged(shelves: Shelves) -> None:
    """As when two looks at the same time remember different sets."""
    shelves.settle()
    shelves.sql("DELETE FROM settled_sets WHERE stem LIKE '%-inc.%'", book="check")
    report = shelves.check(2 * HOUR)
    assert report.findings == ()
    assert report.hosts[0].sets == 3


def test_files_beside_settled_sets(shelves: Shelves) -> None:
    """What a dead run left lies there for good; it hides nothing, whether it stays or goes."""
    left = shelves.folder / "duplicity-inc.20260101T000000Z.to.20260102T000000Z.vol1.difftar.p7m"
    left.write_bytes(shelves.path("volume").read_bytes())
    for hours in (30, 31, 32):
        found = shelves.only(after=hours * HOUR)
        assert (found.code, found.severity) == ("incomplete", "info")
    assert len(shelves.sql("SELECT * FROM settled_sets", book="check")) == 3
    left.unlink()
    assert shelves.codes(after=33 * HOUR) == []
    cut(shelves.path("volume"), 1)
    assert shelves.only(after=34 * HOUR).code == "truncated"


def test_other_recipients_unsettle(shelves: Shelves, stranger: bytes) -> None:
    shelves.settle()
    shelves.mirror.recipients[0].write_bytes(stranger)
    assert set(shelves.codes(after=2 * HOUR)) == {"wrong-recipient"}


def test_an_altered_ledger_unsettles(shelves: Shelves) -> None:
    shelves.sql("UPDATE drops SET received = received - 300")
    shelves.settle()
    shelves.sql("UPDATE drops SET sha256 = ? WHERE name = ?", "0" * 64, shelves.name("volume"))
    assert shelves.only(after=2 * HOUR).code == "corrupt"


def test_memory_that_is_none(shelves: Shelves) -> None:
    (shelves.mirror.state / "check.sqlite").write_bytes(b"this is no database" * 999)
    found = shelves.only()
    assert (found.code, found.severity) == ("could-not-look", "error")
    assert "cannot be remembered" in found.sentence


def test_what_envelopes_said_is_forgotten_with_them(shelves: Shelves, stranger: bytes) -> None:
    """A host may make no two of them alike. Neither its files nor it itself leave that behind."""
    heads = "SELECT COUNT(*) FROM heads"
    assert shelves.codes() == []
    [(usual,)] = shelves.sql(heads, book="check")
    them = parse_recipients(stranger, "them")
    envelope, (_, serial) = seal(b"x", them), them[0].issuer_and_serial
    odd = [shelves.folder / shelves.name("volume").replace("vol1.", f"vol{n}.") for n in range(2, 52)]
    for number, path in enumerate(odd):
        path.write_bytes(envelope.replace(serial, serial[:-1] + bytes([number])))
    shelves.path("receipt").unlink()
    shelves.check(HOUR)
    assert shelves.sql(heads, book="check") == [(usual + len(odd),)]
    for path in odd:
        path.unlink()
    shelves.check(2 * HOUR)
    shelves.check(3 * HOUR)
    assert shelves.sql(heads, book="check") == [(usual,)]
    (shelves.mirror.hosts / f"{HOST}.toml").unlink()
    shelves.check(4 * HOUR)
    for table in ("heads", "files", "glances", "settled_sets"):
        assert shelves.sql(f"SELECT COUNT(*) FROM {table}", book="check") == [(0,)]
