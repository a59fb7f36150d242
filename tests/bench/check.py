"""How long the check takes on a large vault: hosts with a year of sets each, most of the files sparse.

    tests/bench/check.py [--hosts 1000] [--days 365] [--in FOLDER]

Prints seconds and memory of a first look, of a second one, and of one after another day of sets, all
without the scrub; and how long `duplicity collection-status` takes on the folder of one host.
"""

import argparse
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from datetime import timedelta
from pathlib import Path

# Not this folder, in which `check` is this file.
sys.path.remove(str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1]))

from check.vaults import NIGHT, certificate, seal
from nightdrop.envelope.recipients import parse_recipients
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


class Large:
    """A mirror with many hosts. What is the same in every envelope is made once."""

    def __init__(self, folder: Path, hosts: int) -> None:
        self.folder = folder
        self.vault = folder / "vault"
        self.config = folder / "mirror.toml"
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

    def day(self, number: int) -> None:
        """Another night of every host, in one transaction of the ledger."""
        for place, host in enumerate(self.hosts):
            # Every host at a time of its own, as in life.
            when = NIGHT + timedelta(days=number, seconds=7 * place)
            self._set(host, number, format_time(when), when.timestamp() + 60)
        with closing(sqlite3.connect(self.ledger)) as book, book:
            book.executemany("INSERT INTO drops VALUES (?, ?, ?, ?, ?)", self.drops)
        self.drops.clear()

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


def judge(large: Large, days: int, cold: bool = False) -> str:
    """One look, in a process of its own."""
    if cold:
        os.sync()
        Path("/proc/sys/vm/drop_caches").write_text("3\n")
    now = (NIGHT + timedelta(days=days - 1, hours=3)).timestamp()
    words = [sys.executable, "-c", _JUDGE, str(large.config), str(now)]
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout.rstrip()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--hosts", type=int, default=1000)
    parser.add_argument("--days", type=int, default=365)
    parser.add_argument("--in", dest="folder", type=Path)
    arguments = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="nightdrop-bench-", dir=arguments.folder))
    try:
        begun = time.monotonic()
        large = Large(folder, arguments.hosts)
        for number in range(arguments.days):
            large.day(number)
        files = sum(len(os.listdir(large.vault / host)) for host in large.hosts)
        print(f"{arguments.hosts:,} hosts, {files:,} files, made in {time.monotonic() - begun:.0f} s")
        print("first look, cold:      ", judge(large, arguments.days, cold=True), flush=True)
        print("again:                 ", judge(large, arguments.days), flush=True)
        large.day(arguments.days)
        print("after another day:     ", judge(large, arguments.days + 1), flush=True)
        begun = time.monotonic()
        subprocess.run(
            [
                *(Path(sys.executable).parent / "duplicity", "collection-status", "--no-encryption"),
                *("--archive-dir", folder / "archive", f"file://{large.vault / large.hosts[0]}"),
            ],
            stdout=subprocess.DEVNULL,
            check=False,
        )
        print(f"duplicity collection-status, one host: {time.monotonic() - begun:.2f} s")
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
