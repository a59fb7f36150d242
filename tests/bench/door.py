"""The door against nginx with dav-ext: the same uploads by the same curl, one after the other in turn.

    .venv/bin/python tests/bench/door.py [--rounds N] [--only WORD]        (default: 7 rounds)

nginx runs with its default settings: it neither hashes nor syncs, and overwrites. Ours hashes, syncs
and writes down what it takes. What counts is the ratio of the rates; the machine's own SHA-256 bounds
what one upload can reach, so that is measured, too. Needs Debian's nginx-light and
libnginx-mod-http-dav-ext.
"""

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).parents[1]))

from mirrors import Mirror, environment_without_proxies, make_recipient, new_name, wait_until
from ports import free_port

MB = 1_000_000
HOST = "web1"
MODULE = Path("/usr/lib/nginx/modules/ngx_http_dav_ext_module.so")


@dataclass(frozen=True)
class Target:
    """A server to send to: the URL of the host's folder, where that is on disk, and curl's options."""

    url: str
    folder: Path
    options: list[str]

    def put(self, files: list[Path]) -> None:
        """Upload each file with a curl of its own, all at once."""
        self._each(files, lambda _name: None)

    def put_and_sync(self, files: list[Path]) -> None:
        """The same, and each upload ends when its file is on disk."""
        self._each(files, lambda name: sync(self.folder / name))

    def put_many(self, files: list[Path], connections: int) -> None:
        """Upload files over so many connections, one after the other on each."""

        def send(first: int) -> None:
            pairs = [(file, new_name()) for file in files[first::connections]]
            arguments = [word for file, name in pairs for word in ("-T", str(file), self.url + name)]
            self._curl(arguments)

        with ThreadPoolExecutor(connections) as pool:
            list(pool.map(send, range(connections)))

    def list_folder(self, times: int) -> None:
        """PROPFIND of the folder, so many times on one connection."""
        self._curl(["-X", "PROPFIND", "-H", "Depth: 1", *[self.url] * times])

    def clear(self) -> None:
        """Remove what was stored."""
        for path in self.folder.iterdir():
            path.unlink()

    def _each(self, files: list[Path], afterwards: Callable[[str], None]) -> None:
        def send(file: Path) -> None:
            name = new_name()
            self._curl(["-T", str(file), self.url + name])
            afterwards(name)

        with ThreadPoolExecutor(len(files)) as pool:
            list(pool.map(send, files))

    def _curl(self, arguments: list[str]) -> None:
        command = ["curl", "-sS", "--fail", "-o", "/dev/null", *self.options, *arguments]
        subprocess.run(command, check=True, env=environment_without_proxies(), stdout=subprocess.DEVNULL)


@dataclass(frozen=True)
class Case:
    """One comparison: what is done to each, and the ratio of rates that issue and README promise."""

    name: str
    goal: float
    ours: Callable[[], None]
    theirs: Callable[[], None]
    amount: float
    unit: str


def sync(path: Path) -> None:
    """Wait until a file is on disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def door(work: Path, tls: bool) -> Iterator[Target]:
    """Our door."""
    recipient = make_recipient(work / "recipient.pem")
    with Mirror(work, "tls" if tls else "plain", [recipient], tls=tls).start() as mirror:
        bundle = work / f"{mirror.name}.bundle.toml"
        mirror.enroll(HOST, bundle)
        options = ["-u", f"{HOST}:{mirror.password(bundle)}"]
        options += ["--cacert", str(mirror.certificate)] if tls else []
        yield Target(f"{mirror.url}/{HOST}/", mirror.vault / HOST, options)


@contextmanager
def nginx(work: Path, certificate: Path) -> Iterator[tuple[Target, Target]]:
    """nginx, plain and TLS, with the certificate of our door."""
    root = work / "nginx"
    folder = root / "vault" / HOST
    folder.mkdir(parents=True)
    for path in (work, root, root / "vault", folder):
        path.chmod(0o777)
    plain, tls = free_port(), free_port()
    # The cheapest password there is: nginx checks it again on every request.
    (root / "htpasswd").write_text(f"{HOST}:{{PLAIN}}secret\n")
    (root / "nginx.conf").write_text(f"""
        load_module {MODULE};
        user root; daemon off; worker_processes auto; pid {root}/pid; error_log {root}/error.log;
        events {{ }}
        http {{
            access_log {root}/access.log;
            client_max_body_size 0;
            client_body_temp_path {root}/body;
            server {{
                listen 127.0.0.1:{plain};
                listen 127.0.0.1:{tls} ssl;
                ssl_certificate {certificate};
                ssl_certificate_key {certificate.with_name("tls.key")};
                root {root}/vault;
                location / {{
                    dav_methods PUT; dav_ext_methods PROPFIND OPTIONS;
                    auth_basic nightdrop; auth_basic_user_file {root}/htpasswd;
                }}
            }}
        }}
    """)
    process = subprocess.Popen(["nginx", "-c", root / "nginx.conf", "-e", root / "error.log"])
    options = ["-u", f"{HOST}:secret"]
    try:
        wait_until((root / "pid").exists, "nginx is up")
        yield (
            Target(f"http://127.0.0.1:{plain}/{HOST}/", folder, options),
            Target(f"https://127.0.0.1:{tls}/{HOST}/", folder, [*options, "--cacert", str(certificate)]),
        )
    finally:
        process.terminate()
        process.wait()


def make_files(folder: Path, number: int, size: int) -> list[Path]:
    """Files of random bytes, each its own."""
    folder.mkdir(parents=True)
    files = [folder / str(index) for index in range(number)]
    for file in files:
        file.write_bytes(os.urandom(size))
    return files


def cases(work: Path, ours: Target, ours_tls: Target, theirs: Target, theirs_tls: Target) -> list[Case]:
    """Everything that is compared."""
    one = make_files(work / "files/one", 1, 200 * MB)
    eight = make_files(work / "files/eight", 8, 50 * MB)
    small = make_files(work / "files/small", 1000, 20_000)
    listings = 10
    return [
        Case("1 x 200 MB", 1.0, lambda: ours.put(one), lambda: theirs.put(one), 200, "MB/s"),
        Case("8 x 50 MB", 0.9, lambda: ours.put(eight), lambda: theirs.put(eight), 400, "MB/s"),
        Case(
            "1 x 200 MB, nginx synced",
            1.5,
            lambda: ours.put(one),
            lambda: theirs.put_and_sync(one),
            200,
            "MB/s",
        ),
        Case(
            "8 x 50 MB, nginx synced",
            1.2,
            lambda: ours.put(eight),
            lambda: theirs.put_and_sync(eight),
            400,
            "MB/s",
        ),
        Case(
            "1 x 200 MB, TLS", 0.85, lambda: ours_tls.put(one), lambda: theirs_tls.put(one), 200, "MB/s"
        ),
        Case(
            "8 x 50 MB, TLS", 0.7, lambda: ours_tls.put(eight), lambda: theirs_tls.put(eight), 400, "MB/s"
        ),
        Case(
            "1,000 x 20 KB, 4 connections",
            0.5,
            lambda: ours.put_many(small, 4),
            lambda: theirs.put_many(small, 4),
            1000,
            "PUT/s",
        ),
        Case(
            "PROPFIND of 10,000 files",
            2.5,
            lambda: ours.list_folder(listings),
            lambda: theirs.list_folder(listings),
            listings,
            "/s",
        ),
    ]


def measure(case: Case, targets: list[Target], rounds: int) -> tuple[float, float]:
    """The median rates of ours and of theirs, measured in turn."""
    rates: tuple[list[float], list[float]] = ([], [])
    if case.unit == "/s":
        for target in targets:
            fill(target.folder, 10_000)
        case.ours(), case.theirs()
    for turn in range(rounds):
        # Who goes first changes, too.
        for who in ((0, 1), (1, 0))[turn % 2]:
            subprocess.run(["sync", "-f", targets[0].folder], check=True)
            begun = time.perf_counter()
            (case.ours, case.theirs)[who]()
            rates[who].append(case.amount / (time.perf_counter() - begun))
            if case.unit != "/s":
                for target in targets:
                    target.clear()
    for target in targets:
        target.clear()
    return median(rates[0]), median(rates[1])


def fill(folder: Path, number: int) -> None:
    """Put so many files into a folder."""
    for _ in range(number):
        (folder / new_name()).write_bytes(b"x")


def sha256_rate() -> float:
    """What one core hashes, in MB/s."""
    octets = bytes(MB)
    digest = hashlib.sha256()
    begun = time.perf_counter()
    for _ in range(100):
        digest.update(octets)
    return 100 / (time.perf_counter() - begun)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--only", default="", help="only comparisons with this word in their name")
    arguments = parser.parse_args()
    if not MODULE.exists() or shutil.which("nginx") is None:
        sys.exit("door.py: this needs Debian's nginx-light and libnginx-mod-http-dav-ext")
    with tempfile.TemporaryDirectory(dir="/var/tmp") as name:
        work = Path(name)
        with (
            door(work, tls=False) as ours,
            door(work, tls=True) as ours_tls,
            nginx(work, work / "tls/state/tls.crt") as (theirs, theirs_tls),
        ):
            targets = [ours, ours_tls, theirs]
            print(f"{'':30} {'ours':>7} {'nginx':>7} {'':5}  ratio   goal  hashing alone", flush=True)
            for case in cases(work, ours, ours_tls, theirs, theirs_tls):
                if arguments.only not in case.name:
                    continue
                mine, its = measure(case, targets, arguments.rounds)
                rates = f"{mine:7,.0f} {its:7,.0f} {case.unit:5}"
                bound = ""
                if case.unit == "MB/s":
                    processors = os.cpu_count() or 1
                    streams = 1 if case.name.startswith("1 ") else processors
                    bound = f"{sha256_rate() * streams / its:9.2f}"
                ratio = f"{mine / its:5.2f}  {case.goal:5.2f}"
                print(f"{case.name:30} {rates}  {ratio}  {bound}", flush=True)
    print("\nHashing alone: the ratio if SHA-256 were all the work, which is the most there can be.")
    print("The goal for small files is that ratio or 500 durable PUTs a second, whichever is less.")


if __name__ == "__main__":
    main()
