"""A whole house for tests: two mirrors, a key, an enrolled host, its client; all real, on loopback."""

import fcntl
import hashlib
import json
import os
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from mirrors import NIGHTDROP, Mirror, wait_until

HOST = "web1"

_CLOCK_REALTIME_COARSE = 5
"""Linux's name for the clock of file systems (clock_gettime(2)); Python has none."""


@dataclass(frozen=True)
class Key:
    """A recipient: the folder of its key, and the file with its passphrase."""

    folder: Path
    passphrase: Path

    @property
    def private(self) -> Path:
        return self.folder / "key.pem"

    @property
    def certificate(self) -> Path:
        return self.folder / "certificate.pem"

    @property
    def arguments(self) -> list[str]:
        """What a verb that opens is given."""
        return ["--key", str(self.private), "--passphrase-file", str(self.passphrase)]


def make_key(folder: Path, name: str = "admin", key_type: str = "rsa-4096") -> Key:
    """Make a recipient, as an administrator would."""
    passphrase = folder.with_suffix(".passphrase")
    passphrase.write_text("correct horse battery staple\n")
    run("key", "new", folder, "--name", name, "--type", key_type, "--passphrase-file", passphrase)
    return Key(folder, passphrase)


class House:
    """Two mirrors (not started), the host enrolled on both, and an empty source folder."""

    def __init__(self, root: Path, key: Key, tls: bool = True) -> None:
        self.root = root
        self.key = key
        self.source = root / "source"
        self.source.mkdir()
        self.mirrors = [Mirror(root, name, [key.certificate], tls) for name in ("mirror-a", "mirror-b")]
        self.bundle = root / "bundle.toml"
        for mirror in self.mirrors:
            mirror.enroll(HOST, self.bundle)
        self.config = root / "client.toml"
        self.state = root / "client-state"
        self.configure()

    def configure(self, *lines: str, folders: str = "") -> None:
        """Write client.toml with these lines more, and other lines under [folders] if given."""
        self.config.write_text(
            "\n".join(
                [
                    'bundle = "bundle.toml"',
                    f'state = "{self.state}"',
                    *(lines or ('volume_size = "1M"', 'patience = "5s"')),
                    "[folders]",
                    folders or f'include = ["{self.source}"]',
                    "",
                ]
            )
        )

    def gated(self) -> Path:
        """Configure a source, too, that prints 4 MB, waits for the file that is returned, and prints 2 MB
        more: for as long as a test needs, a run stands in the middle, its first volumes on the mirrors.
        """
        gate = self.root / "gate"
        script = f"head -c 4000000 /dev/urandom; until [ -e {gate} ]; do sleep 0.05; done"
        with self.config.open("a") as file:
            file.write(
                "[[commands]]\nname = 'gated'\n"
                f"command = ['sh', '-c', '{script}; head -c 2000000 /dev/urandom']\n"
            )
        return gate

    def start(self) -> None:
        """Start both mirrors, at once."""
        for mirror in self.mirrors:
            mirror.spawn()
        for mirror in self.mirrors:
            mirror.wait_until_ready()

    def close(self) -> None:
        """Stop what still runs."""
        for mirror in self.mirrors:
            if mirror.process and mirror.process.poll() is None:
                mirror.stop()

    def backup(self, *arguments: str, expect: int = 0) -> dict[str, object]:
        """Run a backup; its facts, if it made a set. Whatever is changed afterwards is changed in another
        second: duplicity compares times of files by the second, and a run can be that short.
        """
        begun = int(time.time())
        done = run("backup", "--config", self.config, "--json", *arguments, expect=expect)
        wait_for_another_second_than(begun)
        facts: dict[str, object] = json.loads(done.stdout) if done.stdout else {}
        return facts

    def restore(self, to: Path, *arguments: str, mirror: int = 0, expect: int = 0) -> Path:
        """Restore from a mirror's vault; where the source's copy is then."""
        vault = self.mirrors[mirror].vault
        run(
            *("restore", "run", vault, "--host", HOST, "--to", to, "--setuid"),
            *(*self.key.arguments, *arguments),
            expect=expect,
        )
        return to / self.source.relative_to("/")

    @staticmethod
    def let_a_second_pass() -> None:
        """Wait for the next second: who has forgotten the last set would give the new one its name."""
        wait_for_another_second_than(int(time.time()))

    def wait_until_no_run_is_left(self) -> None:
        """Wait until a run is gone with all its parts: who is killed lets go of the lock a bit later."""

        def free() -> bool:
            with (self.state / "lock").open() as file:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    return False
                return True

        wait_until(free, "no run holds the lock")

    def names(self, mirror: int = 0) -> list[str]:
        """The names of the files that a mirror has."""
        return sorted(os.listdir(self.mirrors[mirror].vault / HOST))

    def requests(self, mirror: int = 0) -> list[tuple[str, str, int]]:
        """Method, path and status of every request that a mirror answered."""
        lines = (line.split() for line in self.mirrors[mirror].log.read_text().splitlines())
        return [(words[3], words[4], int(words[5])) for words in lines if len(words) == 8]

    def assert_mirrors_are_honest(self) -> None:
        """No name was refused, receipts name what is there, and each the one before."""
        for number, mirror in enumerate(self.mirrors):
            answers = {status for method, _, status in self.requests(number) if method == "PUT"}
            assert answers <= {201, 204}
            stored = mirror.stored(HOST)
            receipts = {
                hashlib.sha256(octets).hexdigest(): json.loads(octets)
                for name, octets in stored.items()
                if name.endswith(".receipt.json")
            }
            for receipt in receipts.values():
                assert receipt["previous"] in {"", *receipts}
                for file in receipt["files"]:
                    assert hashlib.sha256(stored[file["name"]]).hexdigest() == file["sha256"]


def wait_for_another_second_than(second: int) -> None:
    """Wait until what is written to a file has a later time than this second.

    The clock that file systems go by is read once a tick, so that it is some milliseconds behind the
    other: what is written when a second has just begun is still of the second before.
    """
    wait_until(lambda: time.clock_gettime(_CLOCK_REALTIME_COARSE) >= second + 1, "the second is over")


def run(*words: object, expect: int = 0) -> subprocess.CompletedProcess[str]:
    """Run `nightdrop` and see that it ends with this status, and never with a traceback."""
    done = subprocess.run(
        [*NIGHTDROP, *map(str, words)],
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        check=False,
    )
    said = f"{' '.join(map(str, words))}: {done.returncode}\n{done.stdout}{done.stderr}"
    assert "Traceback" not in done.stderr, said
    assert done.returncode == expect, said
    return done


def complaint(done: subprocess.CompletedProcess[str]) -> tuple[str, str]:
    """The error and the hint of a command that failed as it should: with two lines."""
    lines = done.stderr.splitlines()
    assert len(lines) == 2, done.stderr
    assert lines[0].startswith("nightdrop: error: "), done.stderr
    assert lines[1].startswith("hint: "), done.stderr
    return lines[0], lines[1]
