"""A restore from a vault, against restic and stock duplicity with gpg, each from a local place.

    .venv/bin/python tests/bench/restore.py [--rounds N] [--large MB] [--in FOLDER] [--to FOLDER] [SOURCE]

Defaults: 3 rounds, 5000 MB, /var/tmp, FOLDER, /usr/share. A full and ten incrementals, each with 1 % of
the files changed, restored by whole processes in turn, medians; then one small file out of --large; then
a set of 1 MB and a file of it, where starting is all there is to do (`--only-small`: only that). On a
disk, making the files decides for all of them; with `--to /dev/shm`, the programs do. Needs Debian's
restic and gpg, and disk for about five times SOURCE and twice --large.
"""

import argparse
import os
import random
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).parents[1]))

from nightdrop.text import format_size

from house import HOST, House, make_key
from mirrors import NIGHTDROP
from others import Restic, Stock
from processes import Words, memory_of_all, seconds_of
from table import Row, machine, print_table

SETS = 11


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--large", type=int, default=5000)
    parser.add_argument("--in", dest="folder", type=Path, default=Path("/var/tmp"))
    parser.add_argument("--to", type=Path)
    parser.add_argument("--only-small", action="store_true")
    parser.add_argument("source", nargs="?", type=Path, default=Path("/usr/share"))
    arguments = parser.parse_args()
    print(machine(), flush=True)
    with (
        tempfile.TemporaryDirectory(dir=arguments.folder) as work,
        tempfile.TemporaryDirectory(dir=arguments.to or arguments.folder) as to,
    ):
        bench = Bench(Path(work), Path(to))
        rows = []
        if not arguments.only_small:
            rows += [*bench.chain(arguments.source, arguments.rounds), *bench.one(arguments.large)]
        rows += bench.small(arguments.rounds)
    print(f"\n{arguments.source}, medians of {arguments.rounds} rounds; {machine()}\n")
    print_table(rows)


@dataclass(frozen=True)
class Taken:
    """What something took: seconds, and seconds of processor time."""

    seconds: float
    processor: float

    @classmethod
    def by(cls, act: Callable[[], object]) -> "Taken":
        """What this takes, in processes that it waits for."""
        before = os.times()
        seconds = seconds_of(act)
        after = os.times()
        user, system = (getattr(after, f"children_{of}") for of in ("user", "system"))
        return cls(seconds, user + system - before.children_user - before.children_system)

    @classmethod
    def median(cls, each: Sequence["Taken"]) -> "Taken":
        """The median of both."""
        return cls(median(one.seconds for one in each), median(one.processor for one in each))

    def __str__(self) -> str:
        return f"{self.seconds:.2f} s ({self.processor:.2f} s)"


class Bench:
    """A place for backups, one to restore to, and a key."""

    def __init__(self, work: Path, to: Path) -> None:
        self.work = work
        self.to = to / "restored"
        self.key = make_key(work / "key")

    def chain(self, origin: Path, rounds: int) -> list[Row]:
        """A full and incrementals, restored."""
        source = self.work / "source"
        subprocess.run(["cp", "-a", origin, source], check=True)
        house = self.house(self.work / "ours", source)
        others = self.work / "restic", self.work / "gpg"
        for folder in others:
            folder.mkdir()
        restic, gpg = Restic(others[0]), Stock(others[1], encrypted=True)
        every = [path for path in sorted(source.rglob("*")) if path.is_file() and not path.is_symlink()]
        chance = random.Random(1)
        for number in range(SETS):
            for path in chance.sample(every, len(every) // 100) if number else []:
                with path.open("ab") as file:
                    file.write(b"changed %d\n" % number)
            house.backup()
            restic.backup(source)
            gpg.backup(source, "inc" if number else "full")
        house.close()
        ways: dict[str, Callable[[], object]] = {
            "ours": lambda: self.restore(house),
            "restic": lambda: restic.restore(self.to),
            "gpg": lambda: gpg.restore(self.to),
        }
        seconds: dict[str, list[float]] = {name: [] for name in ways}
        for _ in range(rounds):
            for name, act in ways.items():
                seconds[name].append(seconds_of(act))
                shutil.rmtree(self.to)
            print({name: round(each[-1], 1) for name, each in seconds.items()}, flush=True)
        gpg.close()
        memory = memory_of_all(self.words(house))
        shutil.rmtree(self.to)
        ours, of_restic, of_gpg = (median(each) for each in seconds.values())
        what = f"a full and {SETS - 1} incrementals, against"
        return [
            Row(
                f"{what} duplicity with gpg",
                f"{ours:.1f} s",
                f"{of_gpg:.1f} s",
                f"{of_gpg / ours:.1f} times as fast",
                "≥ 2",
            ),
            Row(
                f"{what} restic",
                f"{ours:.1f} s",
                f"{of_restic:.1f} s",
                f"{ours / of_restic:.2f} of its time",
                "≤ 1",
            ),
            Row("memory of it all", format_size(memory), "", "", "< 200 MB"),
        ]

    def one(self, megabytes: int) -> list[Row]:
        """One small file out of a large set, against the whole of the volume that it is in."""
        house = self.house(self.work / "large")
        for number in range(megabytes // 100):
            with (house.source / f"random{number:04}").open("wb") as file:
                for _ in range(100):
                    file.write(os.urandom(1_000_000))
        wanted = house.source / "random0004 wanted"
        wanted.write_text("found\n")
        volumes = house.backup("--full")["volumes"]
        house.close()
        neighbours = [house.source / f"random{number:04}" for number in (4, 5)]
        took = []
        for paths in ([wanted], neighbours):
            chosen = [word for path in paths for word in ("--path", str(path))]
            took.append(seconds_of(partial(self.restore, house, *chosen)))
            shutil.rmtree(self.to, ignore_errors=True)
            self.to.unlink(missing_ok=True)
        what = f"one small file out of {megabytes / 1000:.1f} GB in {volumes} volumes"
        return [
            Row(what, f"{took[0]:.1f} s", "", "", "its volume's time"),
            Row("the two large files around it, 200 MB", f"{took[1]:.1f} s", "", "", ""),
        ]

    def small(self, rounds: int) -> list[Row]:
        """A set of 1 MB, and one small file of it: seconds, and seconds of processor time."""
        house = self.house(self.work / "small")
        for number in range(50):
            (house.source / f"{number:02}").write_bytes(os.urandom(20_000))
        folders = self.work / "small-restic", self.work / "small-gpg"
        for folder in folders:
            folder.mkdir()
        restic, gpg = Restic(folders[0]), Stock(folders[1], encrypted=True)
        house.backup()
        restic.backup(house.source)
        gpg.backup(house.source)
        house.close()
        one = house.source / "25"
        rows = []
        for what, ways in (
            (
                "a set of 1 MB",
                (
                    lambda: self.restore(house),
                    lambda: gpg.restore(self.to),
                    lambda: restic.restore(self.to),
                ),
            ),
            (
                "one file of 20 KB out of it",
                (
                    lambda: self.restore(house, "--path", str(one)),
                    lambda: gpg.restore(self.to, Path(one.name)),
                    lambda: restic.restore(self.to, one),
                ),
            ),
        ):
            taken: list[list[Taken]] = [[], [], []]
            for _ in range(rounds):
                for way, each in zip(ways, taken, strict=True):
                    each.append(Taken.by(way))
                    shutil.rmtree(self.to) if self.to.is_dir() else self.to.unlink()
            ours, of_gpg, of_restic = (Taken.median(each) for each in taken)
            for name, theirs in (("duplicity with gpg", of_gpg), ("restic", of_restic)):
                result = f"{ours.seconds / theirs.seconds:.2f} of its time"
                rows.append(Row(f"{what}, against {name}", str(ours), str(theirs), result, ""))
        gpg.close()
        return rows

    def restore(self, house: House, *more: str) -> None:
        """Run the command that restores."""
        subprocess.run(self.words(house, *more), check=True, stdout=subprocess.DEVNULL)

    def words(self, house: House, *more: str) -> Words:
        """The command that restores."""
        vault = house.mirrors[0].vault
        words = [*NIGHTDROP, "restore", "run", vault, "--host", HOST, "--to", self.to]
        return [*words, *house.key.arguments, *more]

    def house(self, root: Path, source: Path | None = None) -> House:
        """Mirrors that run, and a client."""
        root.mkdir()
        house = House(root, self.key)
        house.configure('volume_size = "200M"', folders=f'include = ["{source or house.source}"]')
        house.start()
        return house


if __name__ == "__main__":
    main()
