"""A host's backup to two mirrors, against restic and stock duplicity, each to one local place.

    .venv/bin/python tests/bench/client.py [--rounds N] [--in FOLDER] [SOURCE]

Default: 3 rounds, /var/tmp, /usr/share. Whole processes in turn, medians, of a copy of SOURCE. Our
mirrors hash and sync what they take, over TLS; the others' folders do neither. Needs Debian's restic and
gpg, and disk for about four times SOURCE. What counts are the ratios, on a machine that is idle.
"""

import argparse
import io
import os
import pstats
import random
import shutil
import socket
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).parents[1]))

from nightdrop.text import format_size

from house import HOST, House, Key, make_key
from mirrors import NIGHTDROP
from others import Restic, Stock
from processes import memory_of_all, seconds_of
from table import Row, machine, print_table

_SLOW = 2_000_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--in", dest="folder", type=Path, default=Path("/var/tmp"))
    parser.add_argument("source", nargs="?", type=Path, default=Path("/usr/share"))
    arguments = parser.parse_args()
    print(machine(), flush=True)
    with tempfile.TemporaryDirectory(dir=arguments.folder) as work:
        bench = Bench(Path(work), arguments.source)
        for number in range(arguments.rounds):
            bench.round(number)
        rows = [*bench.rows(), bench.small(), bench.limited(), bench.memory()]
        profile = bench.profile()
    print(f"\n{arguments.source}, medians of {arguments.rounds} rounds; {machine()}\n")
    print_table(rows)
    print(profile)


class Bench:
    """A copy of the source, a key, and what was measured: seconds and octets stored, by what was done."""

    def __init__(self, work: Path, source: Path) -> None:
        self.work = work
        self.key: Key = make_key(work / "key")
        self.source = work / "source"
        subprocess.run(["cp", "-a", source, self.source], check=True)
        every = [
            path for path in sorted(self.source.rglob("*")) if path.is_file() and not path.is_symlink()
        ]
        self.changing = random.Random(1).sample(every, max(1, len(every) // 100))
        self.seconds: dict[str, list[float]] = {}
        self.stored: dict[str, int] = {}

    def round(self, number: int) -> None:
        """Everything that is measured several times, once."""
        root = self.work / str(number)
        root.mkdir()
        house = self.house(root / "two")
        restic = Restic(self.folder(root / "restic"))
        gpg, bare = (Stock(self.folder(root / name), name == "gpg") for name in ("gpg", "bare"))
        self.time("full", house.backup)
        self.stored["full"] = stored(house)
        self.time("full, restic", lambda: restic.backup(self.source))
        self.stored["full, restic"] = restic.stored
        self.time("full, gpg", lambda: gpg.backup(self.source))
        self.stored["full, gpg"] = gpg.stored
        self.time("full, bare", lambda: bare.backup(self.source))
        self.stored["full, bare"] = bare.stored
        self.time("unchanged", house.backup)
        self.time("unchanged, restic", lambda: restic.backup(self.source))
        for path in self.changing:
            with path.open("ab") as file:
                file.write(b"changed\n")
        self.time("changed", house.backup)
        self.time("changed, restic", lambda: restic.backup(self.source))
        house.close()
        gpg.close()
        alone = self.house(root / "one", mirrors=1)
        self.time("full, one mirror", alone.backup)
        alone.close()
        shutil.rmtree(root)
        print({what: round(seconds[-1], 1) for what, seconds in self.seconds.items()}, flush=True)

    def rows(self) -> list[Row]:
        """What the rounds gave."""
        stored, others = self.stored["full"], self.stored["full, restic"]
        return [
            self.row("a full to two mirrors, against restic", "full", "full, restic", 1.0),
            self.row("the same, against duplicity with gpg", "full", "full, gpg", 1 / 1.8),
            self.row("the same, against duplicity bare", "full", "full, bare", None),
            self.row("two mirrors, against one", "full", "full, one mirror", 1.15),
            Row(
                "stored on each mirror, against restic",
                format_size(stored),
                format_size(others),
                f"{stored / others:.2f} of it",
                "≤ 1",
            ),
            self.row("nothing changed, against restic", "unchanged", "unchanged, restic", 1.5),
            self.row("1 % of the files changed, against restic", "changed", "changed, restic", 1.5),
        ]

    def row(self, what: str, ours: str, theirs: str, most: float | None) -> Row:
        """Two medians, and their ratio."""
        our, their = median(self.seconds[ours]), median(self.seconds[theirs])
        wanted = f"≤ {most:.3g}" if most else ""
        return Row(what, f"{our:.1f} s", f"{their:.1f} s", f"{our / their:.2f} of its time", wanted)

    def small(self) -> Row:
        """An incremental of next to nothing: what every run costs."""
        house = self.house(self.work / "small", own_source=True)
        (house.source / "file").write_text("one\n")
        house.backup()
        seconds = []
        for number in range(5):
            (house.source / "file").write_text(f"{number}\n")
            seconds.append(seconds_of(house.backup))
        house.close()
        return Row("an incremental of one small file", f"{median(seconds):.2f} s", "", "", "< 1 s")

    def limited(self) -> Row:
        """When the faster mirror has the first volume, with the other one at 2 MB/s and without."""
        seconds = [self.first_volume(limit) for limit in (False, True)]
        result = f"{seconds[1] / seconds[0]:.2f} of that"
        what = f"a volume of 20 MB on mirror A, when B takes {format_size(_SLOW)}/s, and when not"
        return Row(what, f"{seconds[1]:.2f} s", f"{seconds[0]:.2f} s", result, "about 1")

    def first_volume(self, limit: bool) -> float:
        """Seconds from the start of a run until mirror A has taken the first volume of 20 MB."""
        house = self.house(self.work / f"limited-{limit}", own_source=True)
        house.configure('volume_size = "20M"', 'patience = "60s"')
        (house.source / "random").write_bytes(os.urandom(30_000_000))
        if limit:
            port = slowly_forwarded(house.mirrors[1].port, _SLOW)
            bundle = house.bundle.read_text()
            house.bundle.write_text(bundle.replace(f":{house.mirrors[1].port}", f":{port}"))
        begun = time.time()
        house.backup()
        with sqlite3.connect(house.mirrors[0].ledger) as ledger:
            [[received]] = ledger.execute("SELECT min(received) FROM drops WHERE name LIKE '%.vol1.%'")
        house.close()
        return float(received) - begun

    def memory(self) -> Row:
        """Of a full of files that do not compress, in volumes of 1 GB."""
        house = self.house(self.work / "memory", own_source=True)
        house.configure('volume_size = "1G"', 'patience = "60s"')
        for number in range(3):
            with (house.source / f"random{number}").open("wb") as file:
                for _ in range(500):
                    file.write(os.urandom(1_000_000))
        words = [*NIGHTDROP, "backup", "--config", house.config]
        most = memory_of_all(words)
        house.close()
        shutil.rmtree(house.root)
        what = "memory of it all, 1.5 GB in volumes of 1 GB"
        return Row(what, format_size(most), "", "", "< 250 MB")

    def profile(self) -> str:
        """Where the processor's time goes in the duplicity process, substitutions included."""
        target = self.folder(self.work / "profiled")
        program = (
            "import sys; from nightdrop_client import substitutions; import cProfile\n"
            "substitutions.install(sys.argv[1:4]); sys.argv[:4] = [sys.executable]\n"
            "from duplicity.__main__ import dup_run\n"
            f"cProfile.run('dup_run()', {str(target / 'profile')!r})\n"
        )
        options = ["--no-encryption", "--no-compression", "--no-files-changed", "--verbosity", "2"]
        options += ["--no-print-statistics", "--archive-dir", str(target / "archive")]
        sealing = [str(self.key.certificate), "aes-256-gcm", "2"]
        words = [sys.executable, "-c", program, *sealing, "full", *options]
        words += [str(self.source), f"file://{target / 'vault'}"]
        subprocess.run(words, check=True, stdout=subprocess.DEVNULL)
        text = io.StringIO()
        pstats.Stats(str(target / "profile"), stream=text).sort_stats("tottime").print_stats(14)
        lines = [line for line in text.getvalue().splitlines() if line.strip()]
        begin = next(n for n, line in enumerate(lines) if "ncalls" in line)
        return "\n".join(["\nwhat is left, by cProfile, which makes calls dear:", *lines[begin:]])

    def house(self, root: Path, mirrors: int = 2, own_source: bool = False) -> House:
        """Mirrors that run, and a client."""
        house = House(self.folder(root), self.key)
        if mirrors == 1:
            house.bundle.unlink()
            house.mirrors[0].enroll("alone", house.bundle)
        folder = house.source if own_source else self.source
        house.configure('volume_size = "200M"', folders=f'include = ["{folder}"]')
        house.start()
        return house

    def time(self, what: str, act: Callable[[], object]) -> None:
        """Measure once more."""
        self.seconds.setdefault(what, []).append(seconds_of(act))

    @staticmethod
    def folder(path: Path) -> Path:
        path.mkdir(parents=True)
        return path


def stored(house: House) -> int:
    """Octets on a mirror."""
    folder = house.mirrors[0].vault / HOST
    return sum(path.stat().st_size for path in folder.iterdir())


def slowly_forwarded(port: int, rate: int) -> int:
    """A port on which everything to another one passes at so many octets a second."""
    server = socket.create_server(("127.0.0.1", 0))

    def pump(source: socket.socket, sink: socket.socket, slow: bool) -> None:
        while piece := source.recv(64 * 1024):
            sink.sendall(piece)
            if slow:
                time.sleep(len(piece) / rate)
        with suppress(OSError):
            sink.shutdown(socket.SHUT_WR)

    def serve() -> None:
        while True:
            near, _ = server.accept()
            near.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 * 1024)
            far = socket.create_connection(("127.0.0.1", port))
            threading.Thread(target=pump, args=(near, far, True), daemon=True).start()
            threading.Thread(target=pump, args=(far, near, False), daemon=True).start()

    threading.Thread(target=serve, daemon=True).start()
    return int(server.getsockname()[1])


if __name__ == "__main__":
    main()
