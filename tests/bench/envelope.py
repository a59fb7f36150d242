"""Envelopes: how fast they are sealed and opened, in how much memory, against openssl, gpgsm and gpg.

    .venv/bin/python tests/bench/envelope.py [--rounds N] [--size MB] [--large MB] [FOLDER]

Defaults: 3 rounds, 1500 MB, 5000 MB, /usr/share. Whole processes, each of a pair in turn, medians; input
from a file, output to /dev/null and to a file. Needs disk for twice the larger size in /var/tmp, and
memory for 2.5 times --size, because `openssl cms -decrypt` does. What counts are ratios, on a machine
that is idle.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).parents[1]))

from core.keyring import make_holder
from core.stock import Gpgsm
from core.stock import run as run_tool
from nightdrop.text import format_size

from processes import Words, drain, feed, in_turn, run, succeeds
from table import Row, machine, print_table

NIGHTDROP = str(Path(sys.executable).with_name("nightdrop"))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--size", type=int, default=1500, help="of what is sealed and opened, in MB")
    parser.add_argument("--large", type=int, default=5000, help="of what openssl cannot open, in MB")
    parser.add_argument("folder", nargs="?", type=Path, default=Path("/usr/share"))
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir="/var/tmp") as work, Gpgsm() as gpgsm:
        bench = Bench(Path(work), gpgsm, arguments.rounds)
        rows = [
            *bench.random(arguments.size * 10**6),
            *bench.large(arguments.large * 10**6),
            *bench.tree(arguments.folder),
            bench.start_up(),
            bench.inspecting(),
        ]
    print(f"\nmedians of {arguments.rounds} rounds; {machine()}\n")
    print_table(rows)


class Bench:
    """A folder with a key in it, gpgsm and gpg with keys of theirs, and what is measured there."""

    def __init__(self, work: Path, gpgsm: Gpgsm, rounds: int) -> None:
        self.work = work
        self.rounds = rounds
        self.out = work / "out"
        holder = make_holder("bench")
        self.key, self.certificate = holder.write(work)
        self.both = work / "both.pem"
        self.both.write_bytes(holder.private_pem + holder.certificate_pem)
        self.gpgsm = ["gpgsm", "--homedir", str(gpgsm.home), "--quiet", "--recipient", "CN=bench"]
        gpgsm.own(holder)
        self.gpg = make_gpg(work / "gnupg")
        self.sealing = [NIGHTDROP, "seal", "--recipient", self.certificate]
        self.opening = [NIGHTDROP, "open", "--key", self.both]

    def random(self, octets: int) -> list[Row]:
        """Random octets, sealed without compression, and opened."""
        plain, sealed = self.work / "random", self.work / "sealed"
        with plain.open("wb") as file:
            for at in range(0, octets, 1 << 20):
                file.write(os.urandom(min(1 << 20, octets - at)))
        seal = [*self.sealing, "--compress", "none"]
        gcm = ["openssl", "cms", "-encrypt", "-binary", "-aes-256-gcm", "-stream", "-outform", "DER"]
        words = ["openssl", "cms", "-decrypt", "-binary", "-inform", "DER", "-inkey", self.key]
        size = format_size(octets)
        rows = []
        for out in (Path("/dev/null"), self.out):
            where = "to /dev/null" if out != self.out else "to a file"
            against = f"seal {size} {where}, against"
            rows += [
                self.pair(f"{against} openssl cms", seal, [*gcm, self.certificate], plain, out, 3),
                self.pair(f"{against} gpgsm", seal, [*self.gpgsm, "--encrypt"], plain, out, 6),
            ]
        run(seal, plain, sealed)
        plain.unlink()
        for out in (Path("/dev/null"), self.out):
            where = "to /dev/null" if out != self.out else "to a file"
            what = f"open {size} {where}, against openssl cms"
            theirs = [*words, "-recip", self.certificate]
            rows.append(self.pair(what, self.opening, theirs, sealed, out, 5))
        sealed.unlink()
        return rows

    def pair(self, what: str, ours: Words, theirs: Words, source: Path, out: Path, wanted: float) -> Row:
        """Ours and theirs in turn: seconds, and how many times as fast ours is."""
        our, their = in_turn(
            self.rounds, lambda: run(ours, source, out), lambda: run(theirs, source, out)
        )
        self.out.unlink(missing_ok=True)
        seconds, other = (median(each.seconds for each in ended) for ended in (our, their))
        ratio = f"{other / seconds:.1f} times as fast"
        row = Row(what, f"{seconds:.2f} s", f"{other:.2f} s", ratio, f"≥ {wanted:g}")
        print(row.what, row.ours, row.theirs, row.result, flush=True)
        return row

    def large(self, octets: int) -> list[Row]:
        """What `openssl smime` streams, too long for openssl itself to open: memory, and the content."""
        sealed = self.work / "large"
        rows = []
        for name, form in (("DER", ["-outform", "DER"]), ("S/MIME", [])):
            words = ["openssl", "smime", "-encrypt", "-binary", "-aes256", "-stream", *form]
            digest = feed([*words, "-out", sealed, self.certificate], octets)
            memory, seconds, found = drain([*self.opening, sealed])
            assert found == digest, "what came out is not what went in"
            what = f"open {format_size(octets)} of openssl smime -stream, {name}: memory"
            words = ["openssl", "smime", "-decrypt", "-inkey", self.key, *form_in(form), "-in", sealed]
            theirs = "opens it" if succeeds(words) else "fails"
            sealed.unlink()
            rows.append(
                Row(what, f"{format_size(memory)}", theirs, f"whole, in {seconds:.0f} s", "< 60 MB")
            )
            print(rows[-1], flush=True)
        return rows

    def tree(self, folder: Path) -> list[Row]:
        """A folder as a tar, compressed and sealed."""
        tar = self.work / "tar"
        done = subprocess.run(
            ["tar", "-C", folder, "-cf", tar, "."], stderr=subprocess.DEVNULL, check=False
        )
        assert done.returncode in (0, 1), "tar failed"
        our, their = in_turn(
            self.rounds,
            lambda: run(self.sealing, tar, self.out),
            lambda: run(self.gpg, tar, self.out),
        )
        what = f"seal a tar of {folder}, {format_size(tar.stat().st_size)}, compressed, against gpg"
        tar.unlink()
        self.out.unlink()
        seconds, other = (median(each.seconds for each in ended) for ended in (our, their))
        size, their_size = our[-1].written, their[-1].written
        return [
            Row(
                what, f"{seconds:.2f} s", f"{other:.2f} s", f"{other / seconds:.1f} times as fast", "≥ 5"
            ),
            Row(
                f"{what}: size",
                format_size(size),
                format_size(their_size),
                f"{size / their_size:.3f} of its size",
                "≤ 1",
            ),
        ]

    def start_up(self) -> Row:
        """Sealing nothing, beyond the interpreter's own start."""
        nothing = Path("/dev/null")
        our, bare = in_turn(
            self.rounds * 7,
            lambda: run(self.sealing, nothing, nothing),
            lambda: run([sys.executable, "-c", "pass"], nothing, nothing),
        )
        whole, start = (median(each.seconds for each in ended) * 1000 for ended in (our, bare))
        result = f"{whole - start:.0f} ms beyond it"
        return Row(
            "seal nothing, beyond python -c pass",
            f"{whole:.0f} ms",
            f"{start:.0f} ms",
            result,
            "< 120 ms",
        )

    def inspecting(self) -> Row:
        """One file more."""
        sealed, many = self.work / "some", 500
        with (self.work / "plain").open("wb") as file:
            file.write(os.urandom(10**6))
        run(self.sealing, self.work / "plain", sealed)
        nothing = Path("/dev/null")
        words = [NIGHTDROP, "inspect", sealed]
        few, more = in_turn(
            self.rounds * 3,
            lambda: run(words, nothing, nothing),
            lambda: run([*words, *[sealed] * many], nothing, nothing),
        )
        one, all_of_them = (median(each.seconds for each in ended) for ended in (few, more))
        each = (all_of_them - one) / many * 1000
        return Row(
            f"inspect {many} files of 1 MB more",
            f"{all_of_them:.2f} s",
            "",
            f"{each:.2f} ms each",
            "< 1 ms",
        )


def form_in(form_out: Sequence[str]) -> list[str]:
    """The option of an opener for the form that this option of a sealer makes."""
    return ["-inform", "DER"] if form_out else []


def make_gpg(home: Path) -> list[str]:
    """The command by which a fresh gpg with a key encrypts to it."""
    home.mkdir(mode=0o700)
    words = ["gpg", "--homedir", str(home), "--batch", "--quiet"]
    run_tool(*words, "--passphrase", "", "--quick-gen-key", "bench", "rsa3072", "encr")
    run_tool("gpgconf", "--homedir", str(home), "--kill", "all")
    return [*words, "--trust-model", "always", "--recipient", "bench", "--encrypt"]


if __name__ == "__main__":
    main()
