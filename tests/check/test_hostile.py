"""What a rooted client, or somebody on the mirror, may put there: it is told of, and hurts nobody."""

import contextlib
import io
import os
import re
import socket
import stat
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any, BinaryIO

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from check.vaults import DAY, HOUR, NIGHT, Mirror, Shelves, certificate, random_octets, seal
from core.keyring import BOUNDED
from nightdrop import vault
from nightdrop.enrolment import load_host
from nightdrop.envelope import der
from nightdrop.envelope.algorithms import RSA_ENCRYPTION
from nightdrop.envelope.inspection import inspect_envelope
from nightdrop.envelope.recipients import parse_recipients
from nightdrop.errors import EnvelopeError, VaultError
from nightdrop.mirror import load_mirror
from nightdrop.names import SetKey, format_time
from nightdrop.receipts import MAX_SIZE
from nightdrop.vault import FolderVault, StoredFile
from nightdrop_check import chains, looking, receipts
from nightdrop_check.attempts import apply
from nightdrop_check.contents import Contents
from nightdrop_check.findings import Finding
from nightdrop_check.judging import judge_mirror
from nightdrop_check.reports.as_json import to_json
from nightdrop_check.reports.as_page import to_page
from nightdrop_check.reports.as_text import to_text
from nightdrop_check.rules import HOST_RULES
from nightdrop_check.settled import Remembered
from nightdrop_check.shelf import ShelfSet
from nightdrop_check.view import View

OURS, SOMEBODY_ELSE = parse_recipients(certificate("us") + certificate("them"), "test")
ENVELOPE = seal(b"secret" * 50, [OURS])

ODD_NAMES = [
    b"<script>alert(1)<script>",
    b'" onclick="alert(1)',
    b"\x1b[2J\x1b]0;owned\x07",
    b"line\nnightdrop: all well",
    b"\xff\xfe not UTF-8",
    "right to left \u202egnp.exe".encode(),
    b"%n%s{{ 7 * 7 }}{% raw %}",
    b"x" * 255,
    b"--help",
]


@pytest.mark.parametrize("name", ODD_NAMES)
def test_odd_names_are_told_and_harmless(shelves: Shelves, name: bytes) -> None:
    (shelves.folder / os.fsdecode(name)).write_bytes(b"")
    (shelves.mirror.vault / os.fsdecode(name)).mkdir()
    report = shelves.check()
    assert sorted(f.code for f in report.findings) == ["unknown-file", "unknown-host"]
    page = to_page(report)
    for text in (to_text(report), to_json(report), page):
        text.encode()
        assert all(character.isprintable() or character == "\n" for character in text)
        assert "all well" not in text.splitlines()
    assert "<script" not in page
    # What is told of the names, and not how large the disk is.
    [findings] = re.findall("<h2>Findings</h2>(.*)</main>", page, re.DOTALL)
    assert "unknown-file" in findings
    assert "49" not in findings


def test_pipes_links_devices_and_folders_do_not_hold_us_up(shelves: Shelves) -> None:
    os.mkfifo(shelves.folder / shelves.name("volume").replace("vol1", "vol7"))
    terminal = shelves.folder / shelves.name("volume").replace("vol1", "vol8")
    os.mknod(terminal, stat.S_IFCHR | 0o600, os.makedev(5, 0))
    with socket.socket(socket.AF_UNIX) as server:
        folder = os.open(shelves.folder, os.O_RDONLY)
        server.bind(f"/proc/self/fd/{folder}/socket")
        os.close(folder)
    (shelves.folder / "duplicity-full.20260304T000000Z.receipt.json").symlink_to("/dev/zero")
    (shelves.folder / "duplicity-full.20260304T000000Z.manifest.p7m").mkdir()
    os.mkfifo(shelves.mirror.vault / "pipe")
    (shelves.mirror.vault / "linked").symlink_to("/etc")
    found = shelves.check().findings
    assert sorted(f.code for f in found) == ["unknown-file", "unknown-file", "unknown-host"]


def test_host_folder_that_is_a_link(shelves: Shelves) -> None:
    moved = shelves.mirror.state / "elsewhere"
    shelves.folder.rename(moved)
    shelves.folder.symlink_to(moved)
    assert sorted(shelves.codes()) == ["missing", "unknown-host"]


@settings(BOUNDED, max_examples=200)
@given(st.data())
def test_envelopes_of_any_bytes_are_judged(data: st.DataObject) -> None:
    """A good envelope, altered anywhere, is described or refused; nothing else comes out."""
    octets = bytearray(ENVELOPE)
    for at in data.draw(st.lists(st.integers(0, 700), min_size=1, max_size=8)):
        octets[at : at + data.draw(st.integers(0, 9))] = data.draw(st.binary(max_size=9))
    with contextlib.suppress(EnvelopeError):
        found = inspect_envelope(io.BytesIO(octets))
        assert all(str(recipient).isprintable() for recipient in found.recipients)
        assert not set(found.recipients) & set(SOMEBODY_ELSE.ids)


def sealed_to_many(number: int, octets: int) -> bytes:
    """The beginning of an envelope that names so many recipients, each by a name of so many octets."""
    rsa = der.element(der.SEQUENCE, RSA_ENCRYPTION, der.element(der.NULL))
    # As little like a text as what is encrypted, which is another finding.
    issuers = [der.element(der.SEQUENCE, random_octets(str(each), octets)) for each in range(number)]
    entries = [
        der.element(
            der.SEQUENCE,
            der.integer(0),
            der.element(der.SEQUENCE, issuer, der.integer(1)),
            rsa,
            der.element(der.OCTET_STRING, bytes(256)),
        )
        for issuer in issuers
    ]
    before, _, after = ENVELOPE.partition(bytes.fromhex("020100"))
    _, _, end = der.split(after)
    return before + der.integer(0) + der.element(der.SET, *entries) + after[end:]


def test_a_megabyte_of_recipients_is_not_remembered(shelves: Shelves) -> None:
    """Of a thousand such files the check's memory would be larger than this machine's."""
    for number, octets in ((900, 700), (1, 900_000), (3, 100)):
        shelves.path("volume").write_bytes(sealed_to_many(number, octets))
        found = {finding.code: finding for finding in shelves.check().findings}
        assert set(found) == {"wrong-recipient"}
        assert len(found["wrong-recipient"].sentence) < 1000
        [(longest,)] = shelves.sql("SELECT MAX(LENGTH(text)) FROM heads", book="check")
        assert isinstance(longest, int) and longest < 5000


RECEIPTS: dict[str, Callable[[BinaryIO], object]] = {
    "5 GB": lambda file: file.truncate(5_000_000_000),
    "one octet too many": lambda file: file.write(b" " * (MAX_SIZE + 1)),
    "deep": lambda file: file.write(b"[" * 1_000_000),
    "deep, closed": lambda file: file.write(b'{"a":' * 9 + b"1" + b"}" * 9),
    "wide": lambda file: file.write(b"[" + b"[]," * 10_000_000 + b"0]"),
    "empty": lambda file: file.write(b""),
    "a number": lambda file: file.write(b"1" * 10_000),
    "not UTF-8": lambda file: file.write(b"\xff" * 99),
    "nan": lambda file: file.write(b'{"format": NaN}'),
    "escapes": lambda file: file.write(b'{"format": "\\u001b[2J<b>\\ud800"}'),
}


@pytest.mark.parametrize("name", RECEIPTS)
@pytest.mark.parametrize("ledger", [True, False], ids=["ledger", "no ledger"])
def test_receipts_that_are_none(shelves: Shelves, name: str, ledger: bool) -> None:
    with shelves.path("receipt", "inc", 1).open("wb") as file:
        RECEIPTS[name](file)
    if not ledger:
        shelves.forget()
    (found,) = shelves.check().findings
    assert (found.code, found.severity) == ("corrupt", "error")
    assert found.sentence.isprintable()


def test_files_that_cannot_be_read_are_told_and_the_rest_is_judged(
    shelves: Shelves, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad, cut = shelves.path("volume"), shelves.path("volume", "inc")
    os.truncate(cut, 100)
    whole_open = FolderVault.open

    def failing_open(self: FolderVault, host: str, name: str) -> BinaryIO:
        if name == bad.name:
            raise VaultError(f"cannot read {name}: Input/output error")
        return whole_open(self, host, name)

    monkeypatch.setattr(FolderVault, "open", failing_open)
    found = {f.code: f for f in shelves.check().findings}
    assert set(found) == {"could-not-look", "truncated"}
    assert found["could-not-look"].severity == "error"


def test_folder_that_cannot_be_listed_stops_nobody_else(
    mirror: Mirror, monkeypatch: pytest.MonkeyPatch
) -> None:
    for host in ("a", "b"):
        mirror.enroll(host)
    whole_list = FolderVault.list

    def failing_list(self: FolderVault, host: str, most: int | None = None) -> object:
        if host == "a":
            raise VaultError("cannot read the folder of a")
        return whole_list(self, host, most)

    monkeypatch.setattr(FolderVault, "list", failing_list)
    report = Shelves(mirror.config, "a", 2e9).check()
    assert [(f.code, f.host) for f in report.findings] == [("could-not-look", "a"), ("missing", "b")]
    assert [host.state for host in report.hosts] == ["error", "error"]


def test_rule_that_cannot_look(shelves: Shelves, monkeypatch: pytest.MonkeyPatch) -> None:
    from nightdrop_check import host_judge

    def judge(view: object) -> object:
        yield Finding("late", "error", "web", "", "said before it failed")
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(host_judge, "HOST_RULES", (judge,))
    codes = sorted(f.code for f in judge_mirror(shelves.mirror, shelves.now).findings)
    assert codes == ["could-not-look", "late"]


def test_a_rule_with_too_much_to_say_is_cut_short(
    shelves: Shelves, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(150):
        (shelves.mirror.vault / f"junk{number}").mkdir()
    found = shelves.check().findings
    assert len(found) == 101
    assert found[0].severity == "error"
    assert "more than 100" in found[0].sentence


def test_many_strange_files_are_one_finding(shelves: Shelves) -> None:
    for number in range(2000):
        (shelves.folder / f"junk {number}").touch()
    (found,) = shelves.check().findings
    assert found.data["count"] == 2000
    assert len(found.sentence) < 300
    assert len(to_json(shelves.check())) < 20_000


def test_a_host_that_fills_its_folder_starves_nobody(
    mirror: Mirror, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No more of a folder is looked at than there may be; the host is told of, and others are judged."""
    for host in ("a", "b"):
        mirror.enroll(host)
        mirror.full(host, NIGHT)
    # A million would take minutes to make. That so many are not even asked for is what counts.
    monkeypatch.setattr(looking, "MOST_FILES", 500)
    for number in range(1, 600):
        (mirror.vault / "a" / f"x-full.20260101T000000Z.vol{number}.bin.p7m").touch()
    asked = 0

    def counting(*arguments: Any) -> StoredFile:
        nonlocal asked
        asked += 1
        return StoredFile(*arguments)

    monkeypatch.setattr(vault, "StoredFile", counting)
    report = Shelves(mirror.config, "a", NIGHT.timestamp() + HOUR).check()
    assert [(f.code, f.severity, f.host) for f in report.findings] == [("could-not-look", "error", "a")]
    assert "more than 500 files" in report.findings[0].sentence
    assert "who knows its password" in report.findings[0].hint
    assert [host.state for host in report.hosts] == ["error", "well"]
    assert asked <= 501 + len(os.listdir(mirror.vault / "b"))


class Counting(list[ShelfSet]):
    """Counts how often somebody goes through all of it."""

    times = 0

    def __iter__(self) -> Iterator[ShelfSet]:
        self.times += 1
        return super().__iter__()


def test_no_rule_goes_through_all_sets_for_each_of_them(mirror: Mirror) -> None:
    """A host may drop fifty thousand, and the square of that is days of work."""
    mirror.enroll("a")
    ends = [format_time(NIGHT + timedelta(minutes=minute)) for minute in range(601)]
    names = [f"k{number}-full.{end}.tar.p7m" for number, end in enumerate(ends)]
    for start, end in zip(ends[::2], ends[1::2], strict=False):
        key = SetKey("duplicity", end, "inc", start)
        names += [f"{key.stem}.vol1.difftar.p7m", key.signatures_name, key.manifest_name]
    for name in names:
        (mirror.vault / "a" / name).write_bytes(b"x")
    settings = load_mirror(mirror.config)
    host = load_host(settings.hosts / "a.toml")
    shelf = looking.look_at_host(
        FolderVault(mirror.vault), host, looking.Book(None, "a", Remembered()), frozenset()
    )
    done = Counting(shelf.done)
    kinds = {kind: Counting(sets) for kind, sets in shelf.done_by_kind.items()}
    shelf.__dict__.update({"done": done, "done_by_kind": kinds})
    view = View(settings, host, shelf, Contents((), {}), None, NIGHT.timestamp() + DAY)
    for rule in HOST_RULES:
        found: list[Finding] = []
        apply(rule, view, found)
        # As often as findings are told, and a little.
        assert max(done.times, kinds["duplicity"].times) <= len(found) + 10, rule
        done.times = kinds["duplicity"].times = 0
    assert len(chains.gaps(shelf)) == len(kinds["duplicity"]) == 300


def test_receipts_that_are_too_long_together(mirror: Mirror, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(receipts, "RECEIPTS_TOGETHER", 2500)
    for host in ("a", "b"):
        mirror.enroll(host)
        mirror.full(host, NIGHT)
    mirror.inc("a", mirror.full("a", NIGHT + timedelta(hours=1)), NIGHT + timedelta(hours=2))
    report = Shelves(mirror.config, "a", NIGHT.timestamp() + DAY).check()
    assert {(f.code, f.severity, f.host) for f in report.findings} == {("could-not-look", "error", "a")}
    assert "too long together" in report.findings[0].sentence
    assert report.hosts[1].state == "well"
