"""`./install.sh try`: the main job of Nightdrop, for real, on this machine, told step by step.

Two mirrors as two processes with TLS, a key, a host, a full, changes, an incremental, the check on both
mirrors, a restore, a comparison. Everything goes through the `nightdrop` command, as a user would do it.
"""

import argparse
import json
import os
import re
import secrets
import shlex
import shutil
import ssl
import subprocess
import sys
import tempfile
import time
import tomllib
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPSConnection
from pathlib import Path
from typing import Any

from nightdrop.text import format_size

from house import wait_for_another_second_than
from ports import free_port
from trees import change_odd_tree, describe, differences, make_odd_tree

NIGHTDROP = Path(sys.executable).with_name("nightdrop")
HOST = "tryout"


class TryoutError(Exception):
    """Something did not hold."""


@dataclass
class Mirror:
    """One of the two mirrors: where it is, and its process while it runs."""

    name: str
    folder: Path
    port: int
    process: subprocess.Popen[str] | None = None

    @property
    def config(self) -> Path:
        return self.folder / "mirror.toml"

    @property
    def vault(self) -> Path:
        return self.folder / "vault"

    @property
    def page(self) -> Path:
        return self.folder / "page" / "index.html"


class Tryout:
    """The whole story. Each method is one step of it."""

    def __init__(self, work: Path, folders: list[Path]) -> None:
        self.work = work
        self.folders = folders
        self.odd = work / "source"
        self.mirrors = [Mirror(f"mirror-{x}", work / f"mirror-{x}", free_port()) for x in "ab"]
        self.key = work / "key"
        self.passphrase = work / "passphrase"
        self.bundle = work / "client" / "bundle.toml"
        self.config = work / "client" / "client.toml"
        self.restored = work / "restored"
        self.backups: list[dict[str, Any]] = []
        self.compared = 0
        self.skipped = 0

    def run(self) -> None:
        """Every step, in order; TryoutError says which one did not hold."""
        with step("making a recipient key with a passphrase"):
            self.passphrase.write_text(secrets.token_urlsafe(16) + "\n")
            self.passphrase.chmod(0o600)
            nightdrop("key", "new", self.key, "--name", "tryout", "--passphrase-file", self.passphrase)
        with step("enrolling this host on two mirrors"):
            self.configure()
        with step("starting the two mirrors, each with a TLS certificate of its own making"):
            for mirror in self.mirrors:
                start(mirror)
        with step("making a folder with everything that backups stumble over"):
            make_odd_tree(self.odd)
        self.backups.append(self.backup("full"))
        with step("adding, changing and deleting files there"):
            # duplicity compares times of files by the second, and all of this may take less.
            wait_for_another_second_than(int(time.time()))
            change_odd_tree(self.odd)
        self.backups.append(self.backup("inc"))
        with step("trying to read a volume back, and to overwrite it, with the host's own password"):
            for mirror in self.mirrors:
                self.attack(mirror)
        with step("checking both mirrors, without a key"):
            for mirror in self.mirrors:
                self.check(mirror)
        with step(f"restoring from {self.mirrors[1].name} with the private key"):
            self.restore()
        with step("comparing what was restored with what is there"):
            self.compare()

    def configure(self) -> None:
        for mirror in self.mirrors:
            mirror.folder.mkdir()
            mirror.config.write_text(
                f'name = "{mirror.name}"\n'
                f'vault = "vault"\nstate = "state"\n'
                f'listen = "127.0.0.1:{mirror.port}"\nurl = "https://127.0.0.1:{mirror.port}"\n'
                f"recipients = [{toml(self.key / 'certificate.pem')}]\n"
                f'[limits]\nreserve = "10M"\n'
                f"[check]\npage = {toml(mirror.page.parent)}\n"
            )
        self.bundle.parent.mkdir()
        for mirror in self.mirrors:
            nightdrop("enroll", HOST, "--config", mirror.config, "-o", self.bundle)
        own = [m.folder for m in self.mirrors] + [self.bundle.parent, self.restored, self.key]
        self.config.write_text(
            f'bundle = "bundle.toml"\nstate = "state"\nvolume_size = "20M"\n'
            f"[folders]\ninclude = [{', '.join(map(toml, [*self.folders, self.odd]))}]\n"
            f"exclude = [{', '.join(map(toml, own))}]\n"
        )

    def backup(self, expected: str) -> dict[str, Any]:
        what = {"full": "a full backup", "inc": "an incremental backup"}[expected]
        with step(f"{what} of {names(self.folders)} and that folder, to both mirrors"):
            facts: dict[str, Any] = json.loads(nightdrop("backup", "--config", self.config, "--json"))
            if facts["type"] != expected:
                raise TryoutError(f"this was to be {what}, and it is of type {facts['type']}")
            return facts

    def attack(self, mirror: Mirror) -> None:
        """What a thief with this host's password would try first."""
        volume = next(path for path in sorted((mirror.vault / HOST).iterdir()) if ".vol1." in path.name)
        before = volume.read_bytes()
        answers = {
            "GET": self.ask(mirror, "GET", volume.name),
            "DELETE": self.ask(mirror, "DELETE", volume.name),
            "PUT of other bytes": self.ask(mirror, "PUT", volume.name, b"other bytes"),
        }
        if answers != {"GET": 405, "DELETE": 405, "PUT of other bytes": 409}:
            raise TryoutError(f"{mirror.name} answered {answers}, and should have refused all of them")
        if volume.read_bytes() != before:
            raise TryoutError(f"{volume} was altered")

    def ask(self, mirror: Mirror, method: str, name: str, body: bytes | None = None) -> int:
        entry = next(
            m for m in tomllib.loads(self.bundle.read_text())["mirror"] if m["name"] == mirror.name
        )
        context = ssl.create_default_context(cadata=entry["certificate"])
        connection = HTTPSConnection("127.0.0.1", mirror.port, context=context, timeout=30)
        credentials = b64encode(f"{entry['user']}:{entry['password']}".encode()).decode()
        try:
            connection.request(method, f"/{HOST}/{name}", body, {"Authorization": f"Basic {credentials}"})
            return connection.getresponse().status
        finally:
            connection.close()

    def check(self, mirror: Mirror) -> None:
        report = json.loads(nightdrop("check", "--config", mirror.config, "--json", expect=(0, 4)))
        # The refused overwrite was our own; everything else would be news.
        findings = [f for f in report["findings"] if f["code"] != "overwrite-refused"]
        if findings:
            raise TryoutError(f"the check of {mirror.name} found: {findings[0]['sentence']}")

    def restore(self) -> None:
        nightdrop(
            *("restore", "run", self.mirrors[1].vault, "--host", HOST, "--to", self.restored),
            *("--devices", "--setuid"),
            *("--key", self.key / "key.pem", "--passphrase-file", self.passphrase),
        )

    def compare(self) -> None:
        """Every source against its restored copy. What changed here since is told, not compared."""
        since = time.time() - self.backups[-1]["seconds"] - self.seconds_since_backup
        for folder in [*self.folders, self.odd]:
            there = describe(folder)
            self.compared += len(there)
            wrong = differences(there, describe(self.restored / folder.relative_to("/")))
            for name, how in wrong.items():
                path = os.path.join(os.fsencode(folder), name)
                if folder != self.odd and (not os.path.lexists(path) or os.lstat(path).st_ctime > since):
                    self.skipped += 1
                else:
                    raise TryoutError(f"{path!r} was not restored as it is: {how}")

    @property
    def seconds_since_backup(self) -> float:
        receipts = (self.mirrors[0].vault / HOST).glob("*-inc.*.receipt.json")
        return time.time() - max(path.stat().st_mtime for path in receipts)

    def summary(self, seconds: float) -> str:
        full, incremental = self.backups
        read, added = format_size(full["size"]), format_size(incremental["stored"])
        lines = [
            f"All of it held, in {seconds:.0f} s.",
            "",
            f"backed up    {names([*self.folders, self.odd])}",
            f"             full: {full['files']:,} files, {read}, in {full['seconds']} s",
            f"             incremental: {added} stored, in {incremental['seconds']} s",
        ]
        for mirror in self.mirrors:
            files = list((mirror.vault / HOST).iterdir())
            size = format_size(sum(path.stat().st_size for path in files))
            lines.append(f"{mirror.name}     holds {size} in {len(files)} files: {mirror.vault / HOST}")
            lines.append(f"             report page: {mirror.page}")
        skipped = f"; {self.skipped} that changed meanwhile left out" if self.skipped else ""
        lines += [
            f"restored     {self.compared:,} entries, equal to their source{skipped}: {self.restored}",
            "refused      GET, DELETE and overwriting of a volume, by both mirrors",
            "",
            "look further:",
            f"  {cli('restore', 'list', self.mirrors[0].vault)}",
            f"  {cli('inspect', *sorted((self.mirrors[0].vault / HOST).glob('*.manifest.p7m')))}",
            f"  {cli('check', '--config', self.mirrors[0].config)}",
        ]
        return "\n".join(lines)

    def stop(self) -> None:
        for mirror in self.mirrors:
            if mirror.process and mirror.process.poll() is None:
                mirror.process.terminate()
                mirror.process.wait(60)

    def how_to_use(self) -> str:
        pids = " ".join(str(m.process.pid) for m in self.mirrors if m.process)
        return "\n".join(
            [
                "the mirrors go on running:",
                *(f"  {m.name} at https://127.0.0.1:{m.port}" for m in self.mirrors),
                "back up again, check, restore:",
                f"  {cli('backup', '--config', self.config)}",
                f"  {cli('check', '--config', self.mirrors[0].config)}",
                f"  {cli('restore', 'run', self.mirrors[0].vault, '--host', HOST)} \\",
                f"      --key {self.key / 'key.pem'} --passphrase-file {self.passphrase} --to NEW_FOLDER",
                "stop them:",
                f"  kill {pids}",
            ]
        )


def start(mirror: Mirror) -> None:
    """Start a mirror and wait until it says that it serves."""
    with (mirror.folder / "log").open("w") as log:
        mirror.process = subprocess.Popen(
            [NIGHTDROP, "serve", "--config", mirror.config],
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            start_new_session=True,
        )
    assert mirror.process.stdout
    line = mirror.process.stdout.readline()
    if "serves" not in line:
        raise TryoutError(f"{mirror.name} did not start; {mirror.folder / 'log'} says why")


def nightdrop(*words: object, expect: tuple[int, ...] = (0,)) -> str:
    """Run the command; what it printed. TryoutError if its exit status is not one of those expected."""
    done = subprocess.run(
        [str(NIGHTDROP), *map(str, words)], stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, check=False
    )
    if done.returncode not in expect:
        raise TryoutError(f"`nightdrop {words[0]}` ended with status {done.returncode}")
    return done.stdout.decode()


@contextmanager
def step(what: str) -> Iterator[None]:
    """Say what is done, and how long it took."""
    print(f"{what} ...", flush=True)
    begun = time.monotonic()
    yield
    print(f"    ok, {time.monotonic() - begun:.1f} s", flush=True)


def toml(value: object) -> str:
    """A TOML string; JSON's escapes are TOML's."""
    return json.dumps(str(value))


def names(folders: list[Path]) -> str:
    return ", ".join(map(str, folders))


def cli(*words: object) -> str:
    return shlex.join([os.path.relpath(NIGHTDROP), *map(str, words)])


def _folders(texts: list[str]) -> list[Path]:
    folders = [Path(text).resolve() for text in texts or ["/etc", "/usr/share/doc"]]
    for folder in folders:
        if not folder.is_dir():
            raise TryoutError(f"{folder} is no folder")
        if re.match(r"/(proc|sys|dev|run)(/|$)", str(folder)) or folder == Path("/"):
            raise TryoutError(f"{folder} cannot be compared with its copy; name an ordinary folder")
    return folders


def main() -> int:
    parser = argparse.ArgumentParser(prog="./install.sh try")
    parser.add_argument("--keep", action="store_true", help="leave the mirrors running")
    parser.add_argument("folders", metavar="FOLDER", nargs="*", help="default: /etc /usr/share/doc")
    arguments = parser.parse_args()
    if os.geteuid() != 0:
        print("nightdrop: error: trying out needs root, to read and restore owners", file=sys.stderr)
        return 1
    try:
        folders = _folders(arguments.folders)
    except TryoutError as failure:
        print(f"nightdrop: error: {failure}", file=sys.stderr)
        return 1
    begun = time.monotonic()
    work = Path(tempfile.mkdtemp(prefix="nightdrop-try-", dir="/var/tmp"))
    kept = False
    tryout = Tryout(work, folders)
    try:
        tryout.run()
        print()
        print(tryout.summary(time.monotonic() - begun))
        kept = arguments.keep
        if kept:
            print(tryout.how_to_use())
        print(f"when you have seen enough: rm -r {work}")
        return 0
    except TryoutError as failure:
        print(f"nightdrop: error: {failure}", file=sys.stderr)
        print(f"hint: everything is still in {work}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("nightdrop: error: interrupted", file=sys.stderr)
        shutil.rmtree(work, ignore_errors=True)
        return 1
    finally:
        if not kept:
            tryout.stop()


if __name__ == "__main__":
    sys.exit(main())
