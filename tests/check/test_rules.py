"""What is wrong without a file being damaged: each is said once, by its name, and nothing else is."""

import shutil
import ssl
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from check.vaults import DAY, HOUR, NIGHT, Mirror, Shelves, certificate, random_octets, seal
from nightdrop.envelope.recipients import parse_recipients
from nightdrop.ledger import Ledger
from nightdrop.names import SetKey, format_time
from nightdrop.receipts import ReceiptFile, Source, digest
from nightdrop_check.findings import Finding
from nightdrop_check.memory import Memory
from nightdrop_check.scrub import Budget

from house import HOST, House
from mirrors import NIGHTDROP


def only(shelves: Shelves, after: float = 0, budget: Budget | None = None) -> Finding:
    """The one finding there is."""
    findings = shelves.check(after, budget).findings
    assert len(findings) == 1, [(f.code, f.sentence) for f in findings]
    assert findings[0].hint
    return findings[0]


def shelves_of(house: House) -> Shelves:
    """The first mirror of a house, now."""
    return Shelves(house.mirrors[0].config, HOST, datetime.now(UTC).timestamp())


def test_sizes_of_a_real_host(house: House) -> None:
    """A disk that was not mounted, its return, and a full without it."""
    (house.source / "small").write_text("small")
    large = house.source / "large"
    large.write_bytes(random_octets("large", 24_000_000))
    house.backup()
    assert shelves_of(house).codes() == []
    large.rename(house.root / "large")
    house.backup()
    found = only(shelves_of(house))
    assert (found.code, found.severity) == ("shrunk", "error")
    assert "in its source, and 24 MB in the set before" in found.sentence
    (house.root / "large").rename(large)
    house.backup()
    both = {f.code: f for f in shelves_of(house).check().findings}
    assert set(both) == {"shrunk", "grown"}
    assert "as large as the full before it" in both["grown"].sentence
    large.unlink()
    house.backup("--full")
    assert only_after_a_week(house) == []


def test_everything_changed(house: House) -> None:
    """As after somebody encrypted the host for ransom: an incremental as large as a full."""
    (house.source / "large").write_bytes(random_octets("before", 12_000_000))
    house.backup()
    assert shelves_of(house).codes() == []
    (house.source / "large").write_bytes(random_octets("after", 12_000_000))
    house.backup()
    found = only(shelves_of(house))
    assert (found.code, found.severity) == ("grown", "warning")
    assert "as large as the full before it" in found.sentence


def only_after_a_week(house: House) -> list[str]:
    """The codes that are left when what was odd has been told in a weekly report, but for `late`."""
    return [code for code in shelves_of(house).codes(after=9 * DAY) if code != "late"]


def test_host_that_went_back_in_time(house: House) -> None:
    (house.source / "one").write_text("one")
    house.backup()
    snapshot = house.root / "snapshot"
    shutil.copytree(house.state, snapshot)
    (house.source / "two").write_text("two")
    house.backup()
    assert shelves_of(house).codes() == []
    shutil.rmtree(house.state)
    snapshot.rename(house.state)
    house.let_a_second_pass()
    (house.source / "three").write_text("three")
    house.backup()
    found = only(shelves_of(house))
    assert (found.code, found.severity) == ("fork", "warning")
    assert shelves_of(house).codes(after=40 * DAY) == ["late"]


def test_refused_overwrites(shelves: Shelves) -> None:
    ledger = Ledger(shelves.mirror.ledger)
    for name in (shelves.name("volume"), shelves.name("manifest"), shelves.name("manifest")):
        ledger.refuse(HOST, name, "192.0.2.7")
    ledger.close()
    found = only(shelves)
    assert (found.code, found.severity) == ("overwrite-refused", "warning")
    assert found.sentence.startswith("3 times other bytes were offered")
    assert "192.0.2.7" in found.sentence
    assert "overwrite-refused" not in shelves.codes(after=9 * DAY)


def test_refused_overwrites_wait_for_the_report(shelves: Shelves) -> None:
    ledger = Ledger(shelves.mirror.ledger)
    ledger.refuse(HOST, shelves.name("volume"), "192.0.2.7")
    ledger.close()
    memory = Memory(shelves.mirror.state / "check.sqlite")
    memory.set_mark("reported", str(shelves.now - DAY))
    memory.close()
    assert "overwrite-refused" in shelves.codes(after=20 * DAY)


@pytest.mark.parametrize(
    ("share", "severity"), [(1.05, "error"), (1.0, "error"), (1.5, "warning"), (3.0, None)]
)
def test_quota(shelves: Shelves, share: float, severity: str | None) -> None:
    used = sum(path.stat().st_size for path in shelves.folder.iterdir())
    quota = int(used * share) if share != 1.05 else used + 1000
    with (shelves.mirror.hosts / f"{HOST}.toml").open("a") as file:
        file.write(f'quota = "{quota}"\n')
    if severity is None:
        assert shelves.codes() == []
        return
    found = only(shelves)
    assert (found.code, found.severity) == ("quota-near", severity)


def test_disk_that_is_full(shelves: Shelves) -> None:
    text = shelves.config.read_text()
    shelves.config.write_text(text.replace('reserve = "0"', 'reserve = "9000P"'))
    shelves.configure("")
    found = only(shelves)
    assert (found.code, found.severity) == ("disk-near-full", "error")


@pytest.fixture
def own_disk(shelves: Shelves) -> Iterator[None]:
    """The vault is on a disk that nobody else fills, or makes room on."""
    vault = shelves.mirror.vault
    elsewhere = vault.rename(vault.with_name("elsewhere"))
    vault.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", vault], check=True)
    try:
        subprocess.run(["cp", "-a", f"{elsewhere}/.", vault], check=True)
        yield
    finally:
        subprocess.run(["umount", vault], check=True)


@pytest.mark.usefixtures("own_disk")
@pytest.mark.parametrize(("days", "severity"), [(3, "error"), (20, "warning"), (40, None)])
def test_disk_that_fills(shelves: Shelves, days: int, severity: str | None) -> None:
    room = shelves.check().room
    assert room is not None and room.per_day is None
    memory = Memory(shelves.mirror.state / "check.sqlite")
    for day in range(1, 30):
        memory.record_room(shelves.now - day * DAY, room.free + day * room.free // days)
    memory.close()
    if severity is None:
        assert shelves.codes() == []
        return
    found = only(shelves)
    assert (found.code, found.severity) == ("disk-near-full", severity)


@pytest.mark.usefixtures("own_disk")
def test_disk_that_a_vault_without_a_ledger_was_copied_to(
    shelves: Shelves, tmp_path: Path, admin: bytes
) -> None:
    """By the file system's times all of it came today, which says nothing of next week."""
    mirror = Mirror(tmp_path / "other", admin)
    when = datetime.fromtimestamp(shelves.now, UTC) - timedelta(days=20)
    mirror.enroll("old")
    mirror.full("old", when, sizes=(35_000_000,), ledger=False)
    (mirror.vault / "old").rename(mirror.vault / "moved")
    subprocess.run(["cp", "-a", mirror.vault / "moved", shelves.mirror.vault / "old"], check=True)
    shutil.copy(mirror.folder / "state" / "hosts" / "old.toml", shelves.mirror.hosts)
    room = shelves.check().room
    assert room is not None and room.free < 35_000_000
    assert "disk-near-full" not in shelves.codes()


def test_clock_that_is_ahead(shelves: Shelves) -> None:
    shelves.sql("UPDATE drops SET received = received - ?", 2.5 * HOUR)
    found = only(shelves)
    assert (found.code, found.severity) == ("clock-skew", "warning")
    assert "2 h ahead of" in found.sentence


def test_clock_that_is_behind(shelves: Shelves) -> None:
    shelves.sql("UPDATE drops SET received = received + ?", 3 * DAY)
    found = only(shelves, after=3 * DAY)
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
    removed, and what came before the oldest that is left, too.
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
    found = only(shelves)
    assert (found.code, found.severity) == ("clock-skew", "error")
    found = only(shelves, after=DAY)
    assert (found.code, found.severity) == ("clock-skew", "warning")
    shelves.remove_set("full", 2)
    assert [f.code for f in shelves.check().findings if f.severity == "error"] == []
    shelves.remove_set("full", 0)
    assert shelves.codes() == []


def test_room_made_after_a_clock_was_behind(mirror: Mirror) -> None:
    """The set of that time is the oldest by its name, and not by when it came."""
    mirror.enroll("web")
    mirror.full("web", NIGHT)
    mirror.put(
        "web",
        SetKey("duplicity", format_time(NIGHT - timedelta(days=2)), "full"),
        NIGHT + timedelta(days=1),
    )
    mirror.full("web", NIGHT + timedelta(days=2))
    shelves = Shelves(mirror.config, "web", (NIGHT + timedelta(days=2, hours=1)).timestamp())
    shelves.remove_set("full", 1)
    assert "broken-chain" not in shelves.codes()


def test_a_set_that_is_put_into_the_past(mirror: Mirror) -> None:
    """Made up after a break-in, and called as if it were from before: said when it comes."""
    mirror.enroll("web")
    for days in range(10):
        mirror.full("web", NIGHT + timedelta(days=days))
    made_up = SetKey("duplicity", format_time(NIGHT + timedelta(days=3, hours=1)), "full")
    mirror.put("web", made_up, NIGHT + timedelta(days=9, hours=9))
    mirror.full("web", NIGHT + timedelta(days=10))
    shelves = Shelves(mirror.config, "web", (NIGHT + timedelta(days=10, hours=1)).timestamp())
    found = only(shelves)
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
    found = only(shelves)
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
    found = only(shelves, after=-2 * DAY)
    assert (found.code, found.severity, found.host) == ("clock-skew", "error", "")


@pytest.mark.parametrize(("days", "severity"), [(-1, "error"), (10, "warning")])
def test_recipient_that_expires(shelves: Shelves, days: int, severity: str) -> None:
    until = datetime.now(UTC) + timedelta(days=days)
    with shelves.mirror.recipients[0].open("ab") as file:
        file.write(certificate("second admin", until))
    found = only(shelves)
    assert (found.code, found.severity) == ("key-expiring", severity)
    assert "CN=second admin" in found.sentence


def test_tls_certificate_that_expires(shelves: Shelves) -> None:
    until = datetime.now(UTC) + timedelta(days=10)
    assert ssl.PEM_cert_to_DER_cert(shelves.mirror.certificate.read_text())
    shelves.mirror.certificate.write_bytes(certificate("127.0.0.1", until))
    found = only(shelves)
    assert (found.code, found.severity) == ("key-expiring", "warning")
    assert "TLS" in found.sentence


def test_source_that_a_real_run_could_not_read(house: House) -> None:
    (house.source / "readable").write_text("x")
    (house.source / "secret").write_text("x")
    (house.source / "secret").chmod(0)
    fewer = ["setpriv", "--bounding-set", "-dac_override,-dac_read_search"]
    done = subprocess.run(
        [*fewer, *NIGHTDROP, "backup", "--config", str(house.config)], capture_output=True, check=False
    )
    assert done.returncode == 3
    found = only(shelves_of(house))
    assert (found.code, found.severity) == ("source-errors", "warning")
    assert "1 file of web1 could not be read" in found.sentence
    (house.source / "secret").chmod(0o600)
    house.backup()
    assert shelves_of(house).codes() == []


def test_source_that_failed_is_named_and_made_harmless(house: House) -> None:
    (house.source / "file").write_text("x")
    config = house.config.read_text()
    house.config.write_text(config + '[[commands]]\nname = "shop.sql"\ncommand = ["false"]\n')
    house.backup(expect=3)
    shelves = shelves_of(house)
    # The second look settles the set, and the third goes by what is remembered of it.
    for hours in range(3):
        found = only(shelves, after=hours * HOUR)
        assert (found.code, found.severity) == ("source-errors", "error")
        assert "/.nightdrop/commands/shop.sql of web1 is not whole in duplicity-full." in found.sentence
    assert len(shelves.sql("SELECT * FROM settled_sets", book="check")) == 1
    house.config.write_text(config)
    house.backup()
    assert shelves_of(house).codes() == []


def test_what_is_expected_otherwise(shelves: Shelves) -> None:
    shelves.configure('[[check.expect]]\nhosts = ["web*"]\nlate_after = "20D"\n')
    assert shelves.codes(after=10 * DAY) == []
    assert shelves.codes(after=21 * DAY) == ["late"]


def test_sizes_expected(shelves: Shelves) -> None:
    shelves.configure('[[check.expect]]\nhosts = ["*"]\nkinds = ["duplicity"]\nfull = "200M"\n')
    found = only(shelves)
    assert (found.code, found.severity) == ("shrunk", "warning")
    assert "expected is a full of 200 MB" in found.sentence
    shelves.configure('[[check.expect]]\nhosts = ["web1"]\nfull = "2M"\n')
    assert shelves.codes() == []


def scrubbed_files(shelves: Shelves) -> int:
    """How many files the scrub has to read at first: the look itself reads receipts."""
    return sum(not path.name.endswith(".json") for path in shelves.folder.iterdir())


def test_scrub_reads_what_waits_longest_within_its_budget(shelves: Shelves) -> None:
    """A damage that only reading shows is told when its turn comes, and from then on."""
    budget = Budget(size=1)
    path = shelves.path("manifest", "inc", 1)
    octets = bytearray(path.read_bytes())
    octets[-30] ^= 1
    path.write_bytes(octets)
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
    octets = bytearray(path.read_bytes())
    octets[900_000] ^= 1
    path.write_bytes(octets)
    changed = path.stat().st_ctime
    shelves.sql("UPDATE files SET changed = ? WHERE name = ?", changed, path.name, book="check")
    assert shelves.codes(after=DAY) == []
    shelves.configure('[[check.expect]]\nhosts = ["*"]\nlate_after = "20D"\n')
    assert shelves.codes(after=8 * DAY) == ["corrupt"]


def test_bytes_that_change_where_nothing_else_knows_them(mirror: Mirror) -> None:
    """No receipts, no ledger: the digest that a file had when it was first read tells."""
    mirror.enroll("old")
    mirror.full("old", NIGHT, receipt=False, ledger=False)
    shelves = Shelves(mirror.config, "old", datetime.now(UTC).timestamp())
    assert shelves.codes() == []
    path = shelves.path("volume")
    octets = bytearray(path.read_bytes())
    octets[5000] ^= 1
    path.write_bytes(octets)
    assert only(shelves, after=DAY).code == "corrupt"


def test_scrub_that_is_overdue(shelves: Shelves) -> None:
    shelves.configure('[check]\nscrub_time = "0s"\nlate_after = "200D"\nfull_late_after = "200D"')
    assert shelves.codes() == []
    found = only(shelves, after=100 * DAY)
    assert (found.code, found.severity) == ("scrub-overdue", "warning")


def test_memory_that_is_none(shelves: Shelves) -> None:
    (shelves.mirror.state / "check.sqlite").write_bytes(b"this is no database" * 999)
    found = only(shelves)
    assert (found.code, found.severity) == ("could-not-look", "error")
    assert "cannot be remembered" in found.sentence


def test_what_lies_there_and_does_not_look_encrypted(shelves: Shelves) -> None:
    """An envelope's form around plain text, its digests and all, as whoever fakes backups would make."""
    path = shelves.path("volume")
    octets = bytearray(path.read_bytes())
    plain = b"root:x:0:0:" * len(octets)
    octets[5000:-4000] = plain[: len(octets) - 9000]
    path.write_bytes(octets)
    assert only(shelves).code == "not-encrypted"


@pytest.mark.parametrize(
    ("cipher", "told"), [("-des3", "its cipher is des-ede3-cbc"), ("-camellia256", "an unknown cipher")]
)
def test_weak_cipher(shelves: Shelves, tmp_path: Path, cipher: str, told: str) -> None:
    (tmp_path / "in").write_bytes(random_octets("weak", 9000))
    subprocess.run(
        [
            *("openssl", "cms", "-encrypt", "-binary", cipher, "-outform", "DER"),
            *("-in", tmp_path / "in", "-out", shelves.path("volume"), shelves.mirror.recipients[0]),
        ],
        check=True,
    )
    found = only(shelves)
    assert (found.code, found.severity) == ("weak-cipher", "error")
    assert told in found.sentence


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
