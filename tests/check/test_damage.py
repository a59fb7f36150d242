"""Every damage is found: once, by its name, and nothing else. And a good vault is left in peace."""

import os
import sqlite3
from collections.abc import Callable

import pytest

from check.damages import append, cut, flip
from check.vaults import DAY, HOUR, Shelves, seal
from nightdrop.envelope.recipients import parse_recipients
from nightdrop.receipts import digest


def test_a_good_vault_yields_nothing(shelves: Shelves) -> None:
    report = shelves.check()
    assert report.findings == ()
    assert report.headline == f"{shelves.mirror.name}: 1 of 1 host well"
    assert report.hosts[0].state == "well"
    assert report.hosts[0].sets == 3
    receipts = sum(path.stat().st_size for path in shelves.folder.glob("*.receipt.json"))
    assert report.verified_size == report.hosts[0].size - receipts
    assert report.coverage is not None
    assert report.coverage.size_read == report.coverage.size == report.hosts[0].size


def test_a_good_vault_without_a_ledger_yields_nothing_and_gets_none(shelves: Shelves) -> None:
    shelves.forget()
    assert shelves.codes() == []
    assert not shelves.mirror.ledger.exists()


DAMAGES: dict[str, tuple[Callable[[Shelves], object], str, str]] = {
    "volume removed": (lambda s: s.path("volume").unlink(), "incomplete", "error"),
    "signatures removed": (lambda s: s.path("signatures").unlink(), "incomplete", "error"),
    "manifest removed": (lambda s: s.path("manifest", "inc", 1).unlink(), "incomplete", "error"),
    "volume cut off": (lambda s: cut(s.path("volume"), 1), "truncated", "error"),
    "volume cut in half": (lambda s: cut(s.path("volume"), 4000), "truncated", "error"),
    "volume emptied": (lambda s: os.truncate(s.path("volume"), 0), "truncated", "error"),
    "volume cut in its head": (lambda s: os.truncate(s.path("volume"), 30), "truncated", "error"),
    "volume of two octets": (lambda s: os.truncate(s.path("volume"), 2), "truncated", "error"),
    "volume goes on": (lambda s: append(s.path("volume"), b"more"), "truncated", "error"),
    "bit flipped": (lambda s: flip(s.path("volume")), "corrupt", "error"),
    "bit flipped at the end": (lambda s: flip(s.path("manifest"), -1), "corrupt", "error"),
    "zeros": (lambda s: s.path("manifest").write_bytes(b"\0" * 5000), "not-encrypted", "error"),
    "plaintext": (
        lambda s: s.path("volume").write_bytes(b"root:x:0:0:root:/root:/bin/bash\n" * 999),
        "not-encrypted",
        "error",
    ),
    "receipt cut": (lambda s: cut(s.path("receipt"), 20), "corrupt", "error"),
    "full withdrawn": (lambda s: s.remove_set("full"), "broken-chain", "error"),
    "incremental withdrawn": (lambda s: s.remove_set("inc", 0), "broken-chain", "error"),
    "stray name": (lambda s: (s.folder / "notes.txt").write_text("x"), "unknown-file", "warning"),
    "link": (lambda s: (s.folder / "link").symlink_to("/etc/passwd"), "unknown-file", "warning"),
    "additional volume": (
        lambda s: (s.folder / s.name("volume").replace("vol1.", "vol99.")).write_bytes(b"x"),
        "unknown-file",
        "warning",
    ),
    "folder of nobody": (lambda s: (s.mirror.vault / "eve").mkdir(), "unknown-host", "warning"),
    "stray beside": (lambda s: (s.mirror.vault / "x").write_text("x"), "unknown-host", "warning"),
}


@pytest.mark.parametrize("name", DAMAGES)
@pytest.mark.parametrize("before", ["first look", "no ledger", "settled", "settled without ledger"])
def test_a_damage_is_found_once(shelves: Shelves, name: str, before: str) -> None:
    damage, code, severity = DAMAGES[name]
    if before == "settled without ledger":
        shelves.forget()
    if before.startswith("settled"):
        shelves.settle()
    damage(shelves)
    if before == "no ledger":
        shelves.forget()
    finding = shelves.only(after=2 * HOUR)
    assert (finding.code, finding.severity) == (code, severity)
    assert finding.hint


def test_receipt_removed(shelves: Shelves) -> None:
    shelves.path("receipt").unlink()
    finding = shelves.only()
    assert (finding.code, finding.severity) == ("incomplete", "error")
    assert "was here once and is gone" in finding.sentence
    assert "2 later sets cannot be restored without it" in finding.sentence


@pytest.mark.parametrize("which", [("full", 0), ("inc", 0)])
def test_receipt_removed_and_no_ledger(shelves: Shelves, which: tuple[str, int]) -> None:
    shelves.path("receipt", *which).unlink()
    shelves.forget()
    finding = shelves.only()
    assert (finding.code, finding.severity) == ("incomplete", "error")


def test_receipt_reworded(shelves: Shelves) -> None:
    path = shelves.path("receipt", "inc", 0)
    path.write_bytes(path.read_bytes().replace(b'"size": ', b'"size":  '))
    finding = shelves.only()
    assert (finding.code, finding.subject) == ("corrupt", path.name)
    # Without the ledger, the receipt after it tells.
    shelves.forget()
    finding = shelves.only()
    assert (finding.code, finding.severity) == ("broken-chain", "warning")


def test_newest_set_withdrawn(shelves: Shelves) -> None:
    name = shelves.name("receipt", "inc", 1).removesuffix(".receipt.json")
    shelves.remove_set("inc", 1)
    finding = shelves.only()
    assert (finding.code, finding.severity, finding.subject) == ("broken-chain", "error", name)


def test_everything_withdrawn(shelves: Shelves) -> None:
    for path in shelves.folder.iterdir():
        path.unlink()
    finding = shelves.only()
    assert (finding.code, finding.severity) == ("missing", "error")
    assert "3 sets came here, and none is left" in finding.sentence
    shelves.folder.rmdir()
    assert shelves.only().code == "missing"


def test_late(shelves: Shelves) -> None:
    assert shelves.codes(after=2 * DAY) == []
    finding = shelves.only(after=3 * DAY)
    assert (finding.code, finding.severity) == ("late", "error")
    assert shelves.only(after=50 * DAY).code == "late"


def test_sealed_to_somebody_else(shelves: Shelves, stranger: bytes, admin: bytes) -> None:
    them, us = parse_recipients(stranger, "them"), parse_recipients(admin, "us")
    shelves.path("volume").write_bytes(seal(b"x" * 99, them))
    finding = shelves.only()
    assert finding.code == "wrong-recipient"
    assert "only CN=other" in finding.sentence
    shelves.path("volume").write_bytes(seal(b"x" * 99, us + them))
    finding = shelves.only()
    assert finding.code == "wrong-recipient"
    assert "CN=other" in finding.sentence and "too" in finding.sentence


def test_many_files_of_a_set_are_one_finding(shelves: Shelves) -> None:
    flip(shelves.path("volume"))
    flip(shelves.path("signatures"))
    flip(shelves.path("manifest"))
    finding = shelves.only()
    assert finding.code == "corrupt"
    assert finding.data["count"] == 3


def test_pipe_in_place_of_a_volume(shelves: Shelves) -> None:
    path = shelves.path("volume")
    path.unlink()
    os.mkfifo(path)
    assert shelves.only().code == "unknown-file"


def test_link_in_place_of_a_receipt(shelves: Shelves) -> None:
    path = shelves.path("receipt")
    path.rename(shelves.mirror.state / "moved")
    path.symlink_to(shelves.mirror.state / "moved")
    assert shelves.only().code == "unknown-file"


def test_ledger_that_is_none(shelves: Shelves) -> None:
    shelves.forget()
    shelves.mirror.ledger.write_bytes(b"this is no database, but a text of some length" * 99)
    finding = shelves.only()
    assert (finding.code, finding.severity) == ("could-not-look", "error")


def test_ledger_is_not_written(shelves: Shelves) -> None:
    before = digest(shelves.mirror.ledger.read_bytes())
    shelves.check()
    assert digest(shelves.mirror.ledger.read_bytes()) == before


def test_ledger_knows_other_bytes(shelves: Shelves) -> None:
    book = sqlite3.connect(shelves.mirror.ledger)
    book.execute("UPDATE drops SET sha256 = ? WHERE name = ?", ("0" * 64, shelves.name("volume")))
    book.commit()
    book.close()
    assert shelves.only().code == "corrupt"


def test_enrolment_that_cannot_be_read(shelves: Shelves) -> None:
    (shelves.mirror.hosts / f"{shelves.host}.toml").write_text("host = ")
    finding = shelves.only()
    assert (finding.code, finding.host) == ("could-not-look", shelves.host)


def test_certificate_that_cannot_be_read(shelves: Shelves) -> None:
    shelves.mirror.recipients[0].unlink()
    finding = shelves.only()
    assert finding.code == "could-not-look"
    assert finding.hint


def test_vault_that_is_not_there(shelves: Shelves) -> None:
    shelves.mirror.vault.rename(shelves.mirror.vault.parent / "elsewhere")
    report = shelves.check()
    assert {finding.code for finding in report.findings} == {"could-not-look"}
    assert "0 of 1 host well" in report.headline


def test_unfinished_set_may_be_on_its_way(shelves: Shelves) -> None:
    path = shelves.path("receipt", "inc", 1)
    path.unlink()
    book = sqlite3.connect(shelves.mirror.ledger)
    book.execute("DELETE FROM drops WHERE name = ?", (path.name,))
    book.commit()
    book.close()
    assert shelves.codes() == []
    finding = shelves.only(after=30 * HOUR)
    assert (finding.code, finding.severity) == ("incomplete", "warning")
