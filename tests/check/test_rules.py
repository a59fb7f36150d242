"""What is wrong without a file being damaged: each is said once, by its name, and nothing else is."""

import shutil
import ssl
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from check.vaults import DAY, HOUR, Mirror, Shelves, certificate, random_octets
from nightdrop.ledger import Ledger
from nightdrop_check.memory import Memory
from nightdrop_check.room import shrinks_per_day

from house import HOST, House
from mirrors import NIGHTDROP


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
    found = shelves_of(house).only()
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
    found = shelves_of(house).only()
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
    found = shelves_of(house).only()
    assert (found.code, found.severity) == ("fork", "warning")
    assert shelves_of(house).codes(after=40 * DAY) == ["late"]


def test_refused_overwrites(shelves: Shelves) -> None:
    ledger = Ledger(shelves.mirror.ledger)
    for name in (shelves.name("volume"), shelves.name("manifest"), shelves.name("manifest")):
        ledger.refuse(HOST, name, "192.0.2.7")
    ledger.close()
    found = shelves.only()
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
    found = shelves.only()
    assert (found.code, found.severity) == ("quota-near", severity)


def test_disk_that_is_full(shelves: Shelves) -> None:
    text = shelves.config.read_text()
    shelves.config.write_text(text.replace('reserve = "0"', 'reserve = "9000P"'))
    shelves.configure("")
    found = shelves.only()
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


def test_room_that_was_made_begins_the_reckoning_anew() -> None:
    before = [(day * DAY, 1000 - 10 * day) for day in range(30)]
    after = [(day * DAY, 2000 - 20 * (day - 30)) for day in range(30, 45)]
    assert shrinks_per_day(before) == 10
    assert shrinks_per_day(before + after[:5]) is None
    assert shrinks_per_day(before + after) == 20


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
    found = shelves.only()
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


@pytest.mark.parametrize(("days", "severity"), [(-1, "error"), (10, "warning")])
def test_recipient_that_expires(shelves: Shelves, days: int, severity: str) -> None:
    until = datetime.now(UTC) + timedelta(days=days)
    with shelves.mirror.recipients[0].open("ab") as file:
        file.write(certificate("second admin", until))
    found = shelves.only()
    assert (found.code, found.severity) == ("key-expiring", severity)
    assert "CN=second admin" in found.sentence


def test_tls_certificate_that_expires(shelves: Shelves) -> None:
    until = datetime.now(UTC) + timedelta(days=10)
    assert ssl.PEM_cert_to_DER_cert(shelves.mirror.certificate.read_text())
    shelves.mirror.certificate.write_bytes(certificate("127.0.0.1", until))
    found = shelves.only()
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
    found = shelves_of(house).only()
    assert (found.code, found.severity) == ("source-errors", "warning")
    assert "1 file of web1 could not be read" in found.sentence
    (house.source / "secret").chmod(0o600)
    house.backup()
    assert shelves_of(house).codes() == []


def test_a_backup_of_nothing(house: House) -> None:
    """As of a disk that was never mounted: nothing shrinks, and nobody would be told."""
    house.backup(expect=3)
    found = shelves_of(house).only()
    assert (found.code, found.severity) == ("source-errors", "error")
    assert "web1 has found nothing to back up" in found.sentence
    (house.source / "file").write_text("x")
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
        found = shelves.only(after=hours * HOUR)
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
    found = shelves.only()
    assert (found.code, found.severity) == ("shrunk", "warning")
    assert "expected is a full of 200 MB" in found.sentence
    shelves.configure('[[check.expect]]\nhosts = ["web1"]\nfull = "2M"\n')
    assert shelves.codes() == []


def test_what_lies_there_and_does_not_look_encrypted(shelves: Shelves) -> None:
    """An envelope's form around plain text, its digests and all, as whoever fakes backups would make."""
    path = shelves.path("volume")
    octets = bytearray(path.read_bytes())
    plain = b"root:x:0:0:" * len(octets)
    octets[5000:-4000] = plain[: len(octets) - 9000]
    path.write_bytes(octets)
    assert shelves.only().code == "not-encrypted"


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
    found = shelves.only()
    assert (found.code, found.severity) == ("weak-cipher", "error")
    assert told in found.sentence
