"""A full backup to two mirrors, against stock duplicity with gpg to one local folder, in turn.

    .venv/bin/python tests/bench/full_backup.py [--rounds N] [FOLDER]      (default: 3, /usr/share)

Whole processes, each time with everything new: mirrors, local metadata, target folder. Our mirrors hash
and sync what they take, over TLS; gpg's folder does neither. What counts is the ratio.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).parents[1]))

from nightdrop.text import format_size

from house import HOST, House, make_key

DUPLICITY = Path(sys.executable).with_name("duplicity")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("folder", nargs="?", type=Path, default=Path("/usr/share"))
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir="/var/tmp") as work:
        results = measure(Path(work), arguments.folder, arguments.rounds)
    print(f"\n{arguments.folder}, medians of {arguments.rounds} rounds")
    for name, (seconds, octets) in results.items():
        print(f"  {name:34} {seconds:6.1f} s   {format_size(octets):>7} stored")
    (ours, stored), (theirs, gpg_stored) = results.values()
    print(f"  ratio of times {ours / theirs:.2f}, of sizes {stored / gpg_stored:.2f}")


def measure(work: Path, folder: Path, rounds: int) -> dict[str, tuple[float, int]]:
    """Seconds and octets stored, for ours and for theirs."""
    key = make_key(work / "key")
    gpg = Gpg(work / "gnupg")
    times: dict[str, list[float]] = {"ours": [], "theirs": []}
    for number in range(rounds):
        root = work / str(number)
        root.mkdir()
        house = House(root, key)
        house.configure('volume_size = "200M"', folders=f'include = ["{folder}"]')
        house.start()
        subprocess.run(["sync"], check=True)
        begun = time.monotonic()
        house.backup()
        times["ours"].append(time.monotonic() - begun)
        stored = sum(len(octets) for octets in house.mirrors[0].stored(HOST).values())
        house.close()
        target = root / "gpg"
        subprocess.run(["sync"], check=True)
        begun = time.monotonic()
        gpg.backup(folder, target, root / "archive")
        times["theirs"].append(time.monotonic() - begun)
        gpg_stored = sum(path.stat().st_size for path in target.iterdir())
        print(f"round {number + 1}: {times['ours'][-1]:.1f} s, {times['theirs'][-1]:.1f} s", flush=True)
        shutil.rmtree(root)
    return {
        "nightdrop, two mirrors over TLS": (median(times["ours"]), stored),
        "duplicity with gpg, a local folder": (median(times["theirs"]), gpg_stored),
    }


class Gpg:
    """A fresh key of gpg's, and stock duplicity that uses it."""

    def __init__(self, home: Path) -> None:
        home.mkdir(mode=0o700)
        self.environment = os.environ | {"GNUPGHOME": str(home), "LC_ALL": "C.UTF-8"}
        generate = ["--quick-gen-key", "bench", "rsa3072", "encr"]
        words = ["gpg", "--batch", "--quiet", "--passphrase", "", *generate]
        subprocess.run(words, check=True, env=self.environment)

    def backup(self, folder: Path, target: Path, archive: Path) -> None:
        """A full backup of `folder` to `target`."""
        options = ["--encrypt-key", "bench", "--gpg-options=--trust-model=always"]
        places = ["--archive-dir", archive, folder, f"file://{target}"]
        subprocess.run(
            [DUPLICITY, "full", *options, "--no-print-statistics", *places],
            check=True,
            env=self.environment,
            stdout=subprocess.DEVNULL,
        )


if __name__ == "__main__":
    main()
