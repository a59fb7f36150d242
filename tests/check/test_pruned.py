"""`nightdrop prune`: what is too old goes, what is needed stays, and the check does not mind."""

import os
import pty
import signal
import subprocess
from datetime import datetime, timedelta

import pytest

from check.vaults import DAY, NIGHT, Mirror, Shelves
from nightdrop.names import SetKey, format_time, parse_name

from house import complaint, run
from mirrors import NIGHTDROP

DAYS = 40


def night(day: int) -> datetime:
    """The night so many days after the first one."""
    return NIGHT + timedelta(days=day)


class Aged:
    """A mirror on which one host dropped for 40 days, a full every tenth."""

    def __init__(self, mirror: Mirror) -> None:
        self.mirror = mirror
        self.shelves = Shelves(mirror.config, "web", night(DAYS).timestamp())
        mirror.enroll("web")
        self.keys: list[SetKey] = []
        for day in range(DAYS):
            if day % 10 == 0:
                self.keys.append(mirror.full("web", night(day)))
            else:
                self.keys.append(mirror.inc("web", self.keys[-1], night(day)))

    def prune(self, *words: str, hosts: tuple[str, ...] = ("web",), expect: int = 0) -> str:
        """What pruning says."""
        return run("prune", *hosts, *words, "--config", self.mirror.config, expect=expect).stdout

    def there(self, host: str = "web") -> set[SetKey]:
        """The sets of which a file is there."""
        names = [parse_name(name) for name in os.listdir(self.mirror.vault / host)]
        return {name.set for name in names if name is not None}

    def findings(self) -> list[tuple[str, str]]:
        """What the check finds, when it looks for the first time and when it has looked before."""
        again = [(f.severity, f.code) for f in self.shelves.check().findings]
        for path in self.shelves.mirror.state.glob("check.sqlite*"):
            path.unlink()
        assert again == [(f.severity, f.code) for f in self.shelves.check().findings]
        return again


@pytest.fixture
def aged(mirror: Mirror) -> Aged:
    return Aged(mirror)


def test_what_is_too_old_goes(aged: Aged) -> None:
    """The newest set is of day 39, so that of day 24 is needed, and with it the full of day 20."""
    assert aged.findings() == []
    before = aged.there()
    told = aged.prune("--keep", "15D", "--dry-run")
    assert aged.there() == before
    assert "web: duplicity: 20 sets may go (" in told
    assert f"up to {aged.keys[19].stem}" in told
    said = aged.prune("--keep", "15D", "--yes")
    assert said.startswith(told)
    assert "removed 20 sets" in said
    assert aged.there() == {*aged.keys[20:]}
    assert aged.findings() == []
    # Nothing is left to do.
    assert f"all stays: {aged.keys[20].stem} is needed" in aged.prune("--keep", "15D", "--yes")


@pytest.mark.parametrize(("keep", "first"), [("8D", 30), ("9D", 30), ("10D", 20), ("39D", 0), ("52W", 0)])
def test_every_state_since_then_stays(aged: Aged, keep: str, first: int) -> None:
    aged.prune("--keep", keep, "--yes")
    assert aged.there() == {*aged.keys[first:]}


def test_a_host_that_backs_up_no_more_keeps_its_last_days(aged: Aged) -> None:
    """Days are counted back from its newest set: all of this was years ago by this machine's clock."""
    assert night(DAYS).timestamp() < aged.shelves.mirror.vault.stat().st_mtime - 30 * DAY
    aged.prune("--keep", "5D", "--yes")
    assert aged.there() == {*aged.keys[30:]}


@pytest.mark.parametrize("damage", ["volume", "shorter", "other", "receipt", "no receipt"])
def test_what_stays_begins_with_a_whole_full(aged: Aged, damage: str) -> None:
    """The full of day 20 is none to begin with, so that the one before is needed."""
    folder = aged.mirror.vault / "web"
    volume, receipt = (
        folder / f"{aged.keys[20].stem}.vol1.difftar.p7m",
        folder / aged.keys[20].receipt_name,
    )
    match damage:
        case "volume":
            volume.unlink()
        case "shorter":
            os.truncate(volume, volume.stat().st_size - 1)
        case "other":
            # As one that came again after it had been removed: the ledger knows what came first.
            aged.shelves.sql("UPDATE drops SET sha256 = ? WHERE name = ?", "0" * 64, volume.name)
        case "receipt":
            receipt.write_bytes(receipt.read_bytes()[1:])
        case "no receipt":
            receipt.unlink()
    aged.prune("--keep", "15D", "--yes")
    assert aged.there() == {*aged.keys[10:]}


def test_nothing_goes_where_no_full_is_whole(aged: Aged) -> None:
    for path in (aged.mirror.vault / "web").glob("duplicity-full.*.receipt.json"):
        path.unlink()
    before = aged.there()
    assert "all stays: there is no whole full that is old enough" in aged.prune("--keep", "5D", "--yes")
    assert aged.there() == before


@pytest.mark.parametrize("clock", ["the host's", "the mirror's"])
def test_one_clock_makes_nothing_old(aged: Aged, clock: str) -> None:
    """A host that is broken into calls its sets as it likes; a mirror's clock may jump by years."""
    future = night(4000)
    if clock == "the host's":
        aged.mirror.put("web", SetKey("duplicity", format_time(future), "full"), night(DAYS))
    else:
        aged.mirror.put("web", SetKey("duplicity", format_time(night(DAYS)), "full"), future)
    before = aged.there()
    aged.prune("--keep", "100D", "--yes")
    assert aged.there() == before


def test_fulls_that_a_host_sends_in_a_row_drive_nothing_out(aged: Aged) -> None:
    """Whoever has its password may send as many as the quota lets them."""
    for minute in range(1, 30):
        aged.mirror.full("web", night(DAYS) + timedelta(minutes=minute))
    aged.prune("--keep", "15D", "--yes")
    assert {*aged.keys[20:]} <= aged.there()


def test_what_a_host_went_on_from_stays(aged: Aged) -> None:
    """It was put back to its state of day 15, and its newest set builds on that."""
    fork = aged.mirror.inc("web", aged.keys[15], night(DAYS))
    aged.prune("--keep", "15D", "--yes")
    assert aged.there() == {*aged.keys[10:], fork}


def put(mirror: Mirror, host: str, kind: str, set_type: str, when: datetime) -> SetKey:
    """What a shell client drops."""
    key = SetKey(kind, format_time(when), "full" if set_type == "full" else "inc")
    names = [f"{key.stem}.vol1.tar.p7m"]
    mirror.put(host, key, when + timedelta(minutes=1), sizes=(700,), names=names)
    return key


def test_each_kind_goes_by_itself(mirror: Mirror) -> None:
    """A firewall's settings, every day a full, and its pool, a full every tenth day. Those of the
    settings that go are younger than the full of the pool that stays, and receipts name each other.
    """
    mirror.enroll("fw", "shell")
    conf, pool = [], []
    for day in range(DAYS):
        conf.append(put(mirror, "fw", "conf", "full", night(day)))
        kind = "full" if day % 10 == 0 else "inc"
        pool.append(put(mirror, "fw", "zroot", kind, night(day) + timedelta(hours=1)))
    shelves = Shelves(mirror.config, "fw", night(DAYS).timestamp())
    assert shelves.check().findings == ()
    run("prune", "--all", "--keep", "5D", "--yes", "--config", mirror.config)
    names = [parse_name(name) for name in os.listdir(shelves.folder)]
    assert {name.set for name in names if name} == {*conf[34:], *pool[30:]}
    for _ in range(2):
        assert [(f.code, f.sentence) for f in shelves.check().findings] == []
    # What is lost after that is still missed, were it all of a kind.
    for lost in (f"{pool[35].stem}.*", "conf-full*"):
        for path in list(shelves.folder.glob(lost)):
            path.unlink()
        errors = [finding for finding in shelves.check().findings if finding.severity == "error"]
        assert {error.code for error in errors} == {"broken-chain"}
        stem = pool[35].stem if lost.startswith("zroot") else conf[-1].stem
        assert any(stem in str(error.data["gone"]) for error in errors)


def test_a_host_without_receipts(mirror: Mirror) -> None:
    """Stock duplicity's sets are whole as far as names tell."""
    mirror.enroll("old")
    keys = [mirror.full("old", night(day), receipt=False) for day in range(0, 40, 10)]
    (mirror.vault / "old" / keys[2].manifest_name).unlink()
    run("prune", "old", "--keep", "5D", "--yes", "--config", mirror.config)
    names = [parse_name(name) for name in os.listdir(mirror.vault / "old")]
    assert {name.set for name in names if name} == {*keys[1:]}


def test_what_is_no_backup_stays(aged: Aged) -> None:
    folder = aged.mirror.vault / "web"
    (folder / "notes.txt").write_text("x")
    link = folder / f"{aged.keys[0].stem}.vol9.difftar.p7m"
    link.symlink_to("/etc/passwd")
    aged.prune("--keep", "15D", "--yes")
    assert link.is_symlink()
    assert (folder / "notes.txt").exists()


@pytest.mark.parametrize("call", ["unlinkat", "fsync"])
@pytest.mark.parametrize("time", [1, 2, 4])
def test_a_prune_that_is_killed_goes_on(aged: Aged, call: str, time: int) -> None:
    """Before it removes a set's receipt, before another file, and when all of its files are gone."""
    words = ("prune", "web", "--keep", "15D", "--yes", "--config", str(aged.mirror.config))
    inject = ("-e", f"trace={call}", "-e", f"inject={call}:signal=KILL:when={time}")
    done = subprocess.run(["strace", "-f", *inject, *NIGHTDROP, *words], capture_output=True, check=False)
    assert done.returncode == -signal.SIGKILL
    assert {*aged.keys[20:]} < aged.there() <= {*aged.keys}
    aged.prune("--keep", "15D", "--yes")
    assert aged.there() == {*aged.keys[20:]}
    assert aged.findings() == []


def test_without_a_ledger_files_say_when_they_came(aged: Aged) -> None:
    """By the time of their entries, which is that of this test: nothing is old."""
    aged.mirror.close()
    aged.shelves.forget()
    before = aged.there()
    aged.prune("--keep", "15D", "--yes")
    assert aged.there() == before


def test_with_nobody_to_ask(aged: Aged) -> None:
    before = aged.there()
    done = run("prune", "web", "--keep", "15D", "--config", aged.mirror.config, expect=2)
    assert "nothing was removed: there is nobody to ask" in complaint(done)[0]
    assert aged.there() == before


@pytest.mark.parametrize("answer", ["n", "", "yes"])
def test_it_asks(aged: Aged, answer: str) -> None:
    before = aged.there()
    ours, theirs = pty.openpty()
    os.write(ours, f"{answer}\n".encode())
    words = ("prune", "web", "--keep", "15D", "--config", str(aged.mirror.config))
    done = subprocess.run([*NIGHTDROP, *words], stdin=theirs, capture_output=True, text=True, check=True)
    os.close(ours)
    os.close(theirs)
    assert "Remove 20 sets (" in done.stdout
    assert "for good? [y/N] " in done.stdout
    assert (aged.there() == before) == (answer != "yes")
    assert ("nothing was removed" in done.stdout) == (answer != "yes")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("web", "--keep", "0D", "--yes"), "less than a day"),
        (("web", "--keep", "2X", "--yes"), "'2X' is not a duration"),
        (("--keep", "15D", "--yes"), "name hosts, or --all of them"),
        (("web", "--all", "--keep", "15D", "--yes"), "name hosts, or --all of them"),
        (("web", "--yes"), "--keep"),
    ],
)
def test_wrong_words(mirror: Mirror, words: tuple[str, ...], says: str) -> None:
    error, _ = complaint(run("prune", *words, "--config", mirror.config, expect=2))
    assert says in error


def test_who_is_not_there(mirror: Mirror) -> None:
    (mirror.vault / "app").symlink_to("/etc")
    for host in ("app", "nobody", "../web", ""):
        done = run("prune", host, "--keep", "15D", "--yes", "--config", mirror.config, expect=1)
        assert "there is no folder of" in complaint(done)[0]
