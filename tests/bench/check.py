"""How long the check takes on a large vault: hosts with a year of sets each, most of the files sparse.

    tests/bench/check.py [--hosts 1000] [--days 365] [--in FOLDER | --keep FOLDER] [--cached]

Prints seconds and memory of a first look, of a second one, and of one after another day of sets, all
without the scrub; and how long `duplicity collection-status` takes on the folder of one host.

A vault that is kept takes minutes to make, which is all that a first run does; every later one measures
it, and leaves it a day longer.
"""

import argparse
import os
import pickle
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from contextlib import closing, suppress
from datetime import timedelta
from pathlib import Path

# Not this folder, in which `check` is this file.
sys.path.remove(str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1]))

from check.vaults import NIGHT, certificate, seal
from nightdrop.envelope.recipients import parse_recipients
from nightdrop.files import whole_file
from nightdrop.ledger import Ledger
from nightdrop.names import SetKey, format_time
from nightdrop.receipts import Receipt, ReceiptFile, Source, digest

_JUDGE = """
import resource, sys, time
from pathlib import Path
from nightdrop.mirror import load_mirror
from nightdrop_check.judging import judge_mirror
from nightdrop_check.scrub import Budget
from nightdrop_check.workers import spare_the_collector
spare_the_collector()
begun = time.monotonic()
report = judge_mirror(load_mirror(Path(sys.argv[1])), float(sys.argv[2]), budget=Budget(seconds=0))
seconds = time.monotonic() - begun
used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
spent, mib = sum(sum(each[:2]) for each in used), max(each.ru_maxrss for each in used) / 1024
print(f"{seconds:6.1f} s ({spent:.1f} s of the processors), {mib:.0f} MB, {report.headline}")
print(f"    {len(report.findings)} findings")
for finding in report.findings[:3]:
    print("   ", finding.code, finding.host, finding.sentence)
"""


_KEPT = "large.pickle"


class Large:
    """A mirror with many hosts, and the days of sets that are there. What is the same in every envelope
    is made once.
    """

    def __init__(self, folder: Path, hosts: int) -> None:
        self.folder = folder
        self.vault = folder / "vault"
        self.config = folder / "mirror.toml"
        self.days = 0
        self.hosts = [f"host{number:04}" for number in range(hosts)]
        self.previous: dict[str, str] = {}
        self.base: dict[str, SetKey] = {}
        pem = certificate("admin")
        whole = seal(os.urandom(200_000), parse_recipients(pem, "bench"))
        self.head, self.tail = whole[:12_288], whole[-4096:]
        (folder / "state" / "hosts").mkdir(parents=True)
        (folder / "admin.pem").write_bytes(pem)
        self.config.write_text(
            'name = "bench"\nvault = "vault"\nstate = "state"\nurl = "https://bench:1"\n'
            'recipients = ["admin.pem"]\n[limits]\nreserve = "0"\n'
        )
        self.ledger = folder / "state" / "ledger.sqlite"
        self.drops: list[tuple[str, str, int, str, float]] = []
        Ledger(self.ledger).close()
        for host in self.hosts:
            (self.vault / host).mkdir(parents=True)
            (folder / "state" / "hosts" / f"{host}.toml").write_text(
                f'host = "{host}"\nenrolled = "2026-01-01T00:00:00Z"\n'
            )

    @classmethod
    def kept(cls, folder: Path) -> "Large | None":
        """The one that was made here before, as far as it was made."""
        with suppress(FileNotFoundError):
            large = pickle.loads((folder / _KEPT).read_bytes())
            assert isinstance(large, cls)
            return large
        return None

    def day(self) -> None:
        """Another night of every host, in one transaction of the ledger."""
        for place, host in enumerate(self.hosts):
            # Every host at a time of its own, as in life.
            when = NIGHT + timedelta(days=self.days, seconds=7 * place)
            self._set(host, self.days, format_time(when), when.timestamp() + 60)
        with closing(sqlite3.connect(self.ledger)) as book, book:
            # Or replace: of a day that was begun before and not finished.
            book.executemany("INSERT OR REPLACE INTO drops VALUES (?, ?, ?, ?, ?)", self.drops)
        self.drops.clear()
        self.days += 1
        with whole_file(self.folder / _KEPT, 0o600) as file:
            file.write(pickle.dumps(self))

    def _set(self, host: str, number: int, at: str, received: float) -> None:
        full = number % 30 == 0
        key = SetKey("duplicity", at, "full" if full else "inc", "" if full else self.base[host].end)
        self.base[host] = key
        sizes = {f"{key.stem}.vol1.difftar.p7m": 2_000_000_000 if full else 30_000_000}
        sizes |= {key.signatures_name: 300_000, key.manifest_name: 60_000}
        files = []
        for name, size in sizes.items():
            self._sparse(host, name, size)
            files.append(ReceiptFile(name, size, "0" * 64))
            self.drops.append((host, name, size, "0" * 64, received))
        stamp = f"{at[:4]}-{at[4:6]}-{at[6:8]}T{at[9:11]}:{at[11:13]}:{at[13:15]}Z"
        octets = Receipt(
            host, key.stem, key.type, stamp, stamp, tuple(files), ("0" * 64,), "bench",
            Source(("/srv",), 2_000_000_000, 20_000, 0), self.previous.get(host, ""),
        ).to_bytes()  # fmt: skip
        (self.vault / host / key.receipt_name).write_bytes(octets)
        self.previous[host] = digest(octets)
        self.drops.append((host, key.receipt_name, len(octets), digest(octets), received))

    def _sparse(self, host: str, name: str, size: int) -> None:
        descriptor = os.open(self.vault / host / name, os.O_WRONLY | os.O_CREAT, 0o600)
        os.write(descriptor, self.head)
        os.pwrite(descriptor, self.tail, size - len(self.tail))
        os.close(descriptor)


def judge(large: Large) -> str:
    """One look, in a process of its own."""
    now = (NIGHT + timedelta(days=large.days - 1, hours=3)).timestamp()
    words = [sys.executable, "-c", _JUDGE, str(large.config), str(now)]
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout.rstrip()


def forget(large: Large, *, cached: bool) -> None:
    """Make the next look a first one; without `cached`, one whose files are in nobody's memory."""
    for path in (large.folder / "state").glob("check.sqlite*"):
        path.unlink()
    os.sync()
    if not cached:
        Path("/proc/sys/vm/drop_caches").write_text("3\n")


def measure(large: Large, *, cached: bool) -> None:
    """Look three times, and print what it took."""
    files = sum(len(os.listdir(large.vault / host)) for host in large.hosts)
    print(f"{len(large.hosts):,} hosts, {large.days} days, {files:,} files", flush=True)
    forget(large, cached=cached)
    print("first look:            ", judge(large), flush=True)
    print("again:                 ", judge(large), flush=True)
    large.day()
    print("after another day:     ", judge(large), flush=True)
    begun = time.monotonic()
    subprocess.run(
        [
            *(Path(sys.executable).parent / "duplicity", "collection-status", "--no-encryption"),
            *("--archive-dir", large.folder / "archive", f"file://{large.vault / large.hosts[0]}"),
        ],
        stdout=subprocess.DEVNULL,
        check=False,
    )
    print(f"duplicity collection-status, one host: {time.monotonic() - begun:.2f} s")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--hosts", type=int, default=1000)
    parser.add_argument("--days", type=int, default=365)
    parser.add_argument("--in", dest="place", type=Path, help="make it in here, and remove it afterwards")
    parser.add_argument("--keep", type=Path, help="make it here, or measure what was made")
    parser.add_argument(
        "--cached", action="store_true", help="do not drop the system's caches before the first look"
    )
    arguments = parser.parse_args()
    folder = arguments.keep or Path(tempfile.mkdtemp(prefix="nightdrop-bench-", dir=arguments.place))
    try:
        large = Large.kept(folder) or Large(folder, arguments.hosts)
        to_make = arguments.days - large.days
        for _ in range(to_make):
            large.day()
        if to_make > 0 and arguments.keep:
            print(f"made: {len(large.hosts):,} hosts, {large.days} days")
        else:
            measure(large, cached=arguments.cached)
    finally:
        if not arguments.keep:
            shutil.rmtree(folder)


if __name__ == "__main__":
    main()
