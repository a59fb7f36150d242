"""The shell client for tests: installed from a real bundle, run by a shell of choice, on real mirrors."""

import itertools
import json
import os
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from nightdrop.names import SetKey, parse_name
from nightdrop.receipts import Receipt, parse_receipt

from gates import way_to
from house import Key
from mirrors import NIGHTDROP, PATIENCE, Mirror, environment_without_proxies, wait_for, wait_until

SNOWFLAKES = Path(__file__).parents[2] / "snowflakes"
SCRIPT = SNOWFLAKES / "nightdrop.sh"

_numbers = itertools.count()

RUN = 10 * PATIENCE
"""Seconds that a run may take: it starts hundreds of programs, one after the other."""


def _found(name: str) -> str:
    return shutil.which(name) or name


SHELLS = {
    "ash": [_found("busybox"), "ash"],
    "dash": [_found("dash")],
    "mksh": [_found("mksh")],
    "posh": [_found("posh")],
    # Debian 13 has none.
    **({"yash": [yash, "--posixly-correct"]} if (yash := shutil.which("yash")) else {}),
    "bash": [_found("bash"), "--posix"],
    # The sh of some Unixes, and rarely installed.
    **({"ksh93": [ksh93]} if (ksh93 := shutil.which("ksh93")) else {}),
}
"""By their names, how each shell is run."""

ONLY = os.environ.get("NIGHTDROP_TEST_SHELL", "")
"""The one shell that all is tested with, in place of those that the tests name: by tests/lab/shells."""

TESTED = [ONLY] if ONLY else list(SHELLS)
"""The shells of those tests that are for each of them."""


def programs_of(shell: str, busybox: Path) -> Path | None:
    """Where its other programs are, if not this machine's are used: ash comes with busybox's."""
    return busybox if shell == "ash" else None


HAS_GCM = b"SSL 1." not in subprocess.check_output(["openssl", "version"])
"""Whether openssl has GCM in CMS, as since 3.0. tests/lab/old_programs has an older one."""


@dataclass
class Mirrors:
    """Two mirrors that serve, and a key that opens; hosts are enrolled as they are needed."""

    mirrors: list[Mirror]
    key: Key
    unlocked: Path
    bundle: Path
    host: str


@dataclass
class Client:
    """One installed client. `received` is what it has dropped: names that were not there before it."""

    folder: Path
    home: Mirrors
    shell: list[str]
    programs: Path | None
    environment: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        # Clients drop as one host, and maybe in the same second: each has kinds of its own.
        self.number = next(_numbers)
        self.temporary = self.folder / "temporary"
        self.temporary.mkdir(parents=True)
        self.settings = self.folder / "etc" / "nightdrop.conf"
        self.state = self.folder / "etc" / "state"
        self.before = [set(os.listdir(self.vault(mirror))) for mirror in self.home.mirrors]
        self.run("install", self.home.bundle)
        self.set(temporary=self.temporary, volume="1M", compress="none", patience=5)

    def vault(self, mirror: Mirror) -> Path:
        return mirror.vault / self.home.host

    def command(self, *words: object) -> list[str]:
        """The command line of one call."""
        return [*self.shell, str(SCRIPT), "-C", str(self.settings.parent), *map(str, words)]

    def variables(self) -> dict[str, str]:
        path = str(self.programs) if self.programs else os.environ["PATH"]
        return environment_without_proxies() | {"PATH": path} | self.environment

    def put_beside(self, program: str) -> None:
        """A program that a router does not have by itself."""
        folder = self.folder / "beside"
        folder.mkdir()
        (folder / program).symlink_to(_found(program))
        self.environment["PATH"] = f"{self.variables()['PATH']}:{folder}"

    def run(self, *words: object, expect: int = 0) -> subprocess.CompletedProcess[str]:
        """Run it and see that it ends with this status, and leaves nothing behind."""
        done = subprocess.run(
            self.command(*words),
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            check=False,
            env=self.variables(),
            timeout=RUN,
        )
        assert done.returncode == expect, f"{words}: {done.returncode}\n{done.stdout}{done.stderr}"
        self.left_nothing()
        return done

    def drop(self, kind: str, *command: object, ext: str = "bin", expect: int = 0) -> str:
        """Drop what a command writes; what was said."""
        done = self.run("drop", self.kind(kind), ext, "--", *command, expect=expect)
        return done.stdout + done.stderr

    def kind(self, kind: str) -> str:
        """A kind that only this client drops."""
        name, dash, type_ = kind.partition("-")
        return f"{name}{self.number}{dash}{type_}"

    def begin(self, kind: str, *command: object) -> subprocess.Popen[str]:
        """Begin to drop what a command writes."""
        return subprocess.Popen(
            self.command("drop", self.kind(kind), "bin", "--", *command),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=self.variables(),
        )

    def left_nothing(self) -> None:
        """Neither a temporary file nor a lock is there."""
        wait_until(lambda: not os.listdir(self.temporary), f"left: {os.listdir(self.temporary)}")
        assert not os.path.lexists(self.state / "lock")

    def stage(self, name: str) -> int:
        """The process of a stage of the run that is under way, once it is there."""

        def pids() -> list[str]:
            files = list(self.temporary.glob(f"nightdrop~*/run/pid.{name}"))
            with suppress(FileNotFoundError):
                return [text for file in files if (text := file.read_text().strip())]
            return []

        return int(wait_for(pids, f"stage {name} runs")[0])

    def set(self, **values: object) -> None:
        """Change settings."""
        lines = [
            line
            for line in self.settings.read_text().splitlines()
            if line.partition("=")[0] not in values
        ]
        lines += [f"{key}={value}" for key, value in values.items()]
        self.settings.write_text("\n".join(lines) + "\n")

    @contextmanager
    def sent_to(self, mirror: Mirror, port: int) -> Iterator[None]:
        """For it, a mirror is at another port."""

        def move(old: int, new: int) -> None:
            self.settings.write_text(self.settings.read_text().replace(f":{old}", f":{new}"))

        move(mirror.port, port)
        try:
            yield
        finally:
            move(port, mirror.port)

    def names(self, mirror: int = 0) -> list[str]:
        """What it has dropped on a mirror."""
        return sorted(set(os.listdir(self.vault(self.home.mirrors[mirror]))) - self.before[mirror])

    def receipts(self, mirror: int = 0) -> list[Receipt]:
        """The receipts it has dropped on a mirror, as the check reads them, oldest first."""
        folder = self.vault(self.home.mirrors[mirror])
        keys = [
            parsed.set
            for name in self.names(mirror)
            if (parsed := parse_name(name)) is not None and parsed.part == "receipt"
        ]
        keys.sort(key=lambda key: key.end)
        return [self._receipt(folder, key) for key in keys]

    def _receipt(self, folder: Path, key: SetKey) -> Receipt:
        return parse_receipt((folder / key.receipt_name).read_bytes(), key, self.home.host)

    def opened(self, mirror: int = 0) -> bytes:
        """The content of the newest set on a mirror, by stock tools, as docs/FORMAT.md says."""
        folder = self.vault(self.home.mirrors[mirror])
        content = b""
        for file in self.receipts(mirror)[-1].files:
            key, path = self.home.unlocked, folder / file.name
            opened = subprocess.run(
                ["openssl", "cms", "-decrypt", "-binary", "-inform", "DER", "-in", path, "-inkey", key],
                check=True,
                capture_output=True,
            )
            content += subprocess.run(
                ["zstd", "-dcf"], input=opened.stdout, check=True, capture_output=True
            ).stdout
        return content


def end(process: subprocess.Popen[str], how: signal.Signals | None = None) -> tuple[int, str]:
    """Wait for a run that was begun, maybe after a signal; its status, and what it said."""
    if how is not None:
        process.send_signal(how)
    said, _ = process.communicate(timeout=RUN)
    return process.returncode, said


class Broken:
    """The network in front of a mirror: connections break off, or stand still, after so many octets.

    `limits` are for one connection after the other, None for a good one; the last is for all that follow.
    `still` is set when one stands still, from when on nothing goes either way there.
    The first answer on each, a part of the handshake, is so many seconds `late`.
    """

    def __init__(self, limits: list[int | None], *, stall: bool, late: float) -> None:
        self.limits = limits
        self.stall = stall
        self.late = late
        self.connections = 0
        self.still = threading.Event()
        self._stalled = set[int]()
        self._over = threading.Event()

    def look(self, connection: int, before: int, piece: bytes) -> None:
        """See `gates.Look`."""
        if before == 0:
            self.connections += 1
        limit = self.limits[min(connection, len(self.limits) - 1)]
        if limit is None or before + len(piece) <= limit:
            return
        if self.stall:
            self._stalled.add(connection)
            self.still.set()
            self._over.wait()
        raise ConnectionAbortedError

    def look_back(self, connection: int, before: int, _piece: bytes) -> None:
        """See `gates.Look`."""
        if before == 0:
            time.sleep(self.late)
        if connection in self._stalled:
            self._over.wait()

    def end(self) -> None:
        """What stands still breaks off."""
        self._over.set()


@contextmanager
def broken(
    client: Client,
    number: int,
    limits: list[int | None],
    *,
    stall: bool = False,
    late: float = 0,
) -> Iterator[Broken]:
    """The client reaches one mirror through a bad network."""
    network = Broken(limits, stall=stall, late=late)
    mirror = client.home.mirrors[number]
    with way_to(mirror.port, network.look, network.look_back) as port, client.sent_to(mirror, port):
        try:
            yield network
        finally:
            network.end()


def findings(mirror: Mirror) -> list[str]:
    """What the real check says of a mirror."""
    done = subprocess.run(
        [*NIGHTDROP, "check", "--json", "--config", mirror.config], capture_output=True, check=False
    )
    assert done.returncode in (0, 4), done.stderr
    return sorted(f"{each['code']}: {each['sentence']}" for each in json.loads(done.stdout)["findings"])
