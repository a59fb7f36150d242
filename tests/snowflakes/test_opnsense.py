"""A firewall on ZFS: fulls and incrementals of a pool, some that break off, and all of it restored.

The ZFS is real (zfs-fuse, pool version 23), in a mount namespace of its own. FreeBSD cannot run here.
"""

import configparser
import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from snowflakes.clients import ONLY, RUN, SHELLS, SNOWFLAKES, findings

from gates import way_to
from house import Key
from mirrors import NIGHTDROP, Mirror, environment_without_proxies, wait_for, wait_until

SCRIPT = SNOWFLAKES / "opnsense" / "opnsense.sh"


@dataclass
class Zfs:
    """A ZFS that nobody else sees; its files are seen through `root`."""

    daemon: subprocess.Popen[bytes]

    @property
    def root(self) -> Path:
        return Path(f"/proc/{self.daemon.pid}/root")

    def inside(self, *words: object) -> list[str]:
        return ["nsenter", "-t", str(self.daemon.pid), "-m", "--", *map(str, words)]

    def run(self, *words: object) -> str:
        done = subprocess.run(self.inside(*words), capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{words}: {done.stdout}{done.stderr}"
        return done.stdout

    def pool(self, name: str, folder: Path, *options: object, size: int = 100_000_000) -> None:
        """Make a pool on a file."""
        disk = folder / f"{name}.disk"
        with disk.open("wb") as file:
            file.truncate(size)
        self.run("zpool", "create", *options, name, disk)

    def snapshots(self, name: str) -> list[str]:
        listed = self.run("zfs", "list", "-H", "-t", "snapshot", "-o", "name", "-r", name)
        return listed.splitlines()


@pytest.fixture
def zfs() -> Iterator[Zfs]:
    script = """
        # All that one zfs-fuse tells another: else two who test at once would have each other's pools.
        mkdir -p /etc/zfs /var/lib/zfs
        for folder in /run /etc/zfs /var/lib/zfs; do mount -t tmpfs none $folder; done
        mkdir -p /run/zfs /run/lock/zfs
        exec zfs-fuse --no-daemon --no-kstat-mount --pidfile /run/zfs/pid
    """
    with subprocess.Popen(
        ["unshare", "--mount", "--propagation", "private", "sh", "-ec", script],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as daemon:
        zfs = Zfs(daemon)
        try:
            wait_until(
                lambda: (
                    subprocess.run(zfs.inside("zpool", "list"), capture_output=True, check=False).stdout
                    == b"no pools available\n"
                ),
                "zfs-fuse answers, and has no pools",
            )
            yield zfs
        finally:
            pools = subprocess.run(
                zfs.inside("zpool", "list", "-H", "-o", "name"),
                capture_output=True,
                text=True,
                check=False,
            )
            for pool in pools.stdout.splitlines():
                subprocess.run(
                    zfs.inside("zpool", "export", "-f", pool), capture_output=True, check=False
                )
            daemon.terminate()


class Firewall:
    """A firewall with a pool `tank`, and its host on one mirror."""

    def __init__(self, root: Path, zfs: Zfs, mirror: Mirror) -> None:
        self.root, self.zfs, self.mirror = root, zfs, mirror
        (root / "conf").mkdir(parents=True)
        (root / "conf" / "config.xml").write_text("<opnsense/>\n")
        self.folder = root / "usr" / "local" / "etc" / "nightdrop"
        self.memory = self.folder / "state" / "zfs.tank"
        self.temporary = root / "temporary"
        self.temporary.mkdir()
        bundle = root / "bundle.toml"
        mirror.enroll("fw1", bundle, "--kind", "shell")
        self.run("install", bundle, script=SCRIPT)
        self.set(temporary=self.temporary, volume="1M", rate="2M", patience=1, compress="none")
        (self.folder / "opnsense.conf").write_text("pool=tank\nfull_every=30\n")

    def set(self, **values: object) -> None:
        settings = self.folder / "nightdrop.conf"
        lines = [line for line in settings.read_text().splitlines() if line.split("=")[0] not in values]
        settings.write_text("\n".join([*lines, *(f"{k}={v}" for k, v in values.items())]) + "\n")

    @contextmanager
    def sent_to(self, port: int) -> Iterator[None]:
        """For it, the mirror is at another port."""
        settings = self.folder / "nightdrop.conf"
        before = settings.read_text()
        settings.write_text(before.replace(f":{self.mirror.port}", f":{port}"))
        try:
            yield
        finally:
            settings.write_text(before)

    def command(self, *words: object, script: Path | None = None) -> list[str]:
        return self.zfs.inside(*SHELLS[ONLY or "dash"], script or self.folder / "opnsense.sh", *words)

    def variables(self) -> dict[str, str]:
        """As from cron, which finds neither zfs nor curl by itself."""
        return environment_without_proxies() | {"ROOT": str(self.root), "PATH": "/usr/bin:/bin"}

    def run(self, *words: object, script: Path | None = None, expect: int = 0) -> str:
        done = subprocess.run(
            self.command(*words, script=script),
            capture_output=True,
            text=True,
            env=self.variables(),
            check=False,
        )
        assert done.returncode == expect, f"{words}: {done.returncode}\n{done.stdout}{done.stderr}"
        return done.stdout + done.stderr

    def run_and_kill_the_send(self) -> None:
        # So slow that it still sends when it is killed; what was on its way ends with the mirror.
        self.set(rate="100K")
        with subprocess.Popen(self.command("zfs"), env=self.variables()) as process:
            source = wait_for(lambda: self.stage("source"), "zfs sends")
            wait_for(lambda: self.stage("curl.mirror-f"), "a volume is on its way")
            os.kill(int(source), signal.SIGKILL)
            self.mirror.stop()
            assert process.wait(RUN) == 1
        self.mirror.start()
        self.set(rate="")

    def stage(self, name: str) -> str:
        """The process of a stage of the run that is under way, if it is there."""
        with suppress(FileNotFoundError, StopIteration):
            return next(self.temporary.glob(f"nightdrop~*/run/pid.{name}")).read_text().strip()
        return ""

    def base(self) -> str:
        """The snapshot that the next incremental starts from."""
        return f"tank@{self.memory.read_text().split()[0]}"

    def sets(self) -> list[str]:
        """The stems of its sets that are complete, oldest first."""
        names = sorted(os.listdir(self.mirror.vault / "fw1"), key=lambda name: name.split(".")[1])
        return [name.removesuffix(".receipt.json") for name in names if name.endswith(".receipt.json")]


@pytest.fixture
def firewall(tmp_path: Path, zfs: Zfs, admin_key: Key) -> Iterator[Firewall]:
    with Mirror(tmp_path, "mirror-f", [admin_key.certificate]) as mirror:
        yield Firewall(tmp_path / "root", zfs, mirror)


def tree(folder: Path) -> dict[str, bytes]:
    """Every file below a folder."""
    return {
        str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()
    }


def test_a_pool_goes_and_comes_back(tmp_path: Path, zfs: Zfs, firewall: Firewall, admin_key: Key) -> None:
    zfs.pool("tank", tmp_path, "-m", tmp_path / "tank")
    zfs.run("zfs", "create", "tank/var")
    files = zfs.root / str(tmp_path / "tank")[1:]
    (files / "var" / "big").write_bytes(os.urandom(3_000_000))

    # The first is a full, of everything.
    firewall.run("run")
    [base] = [name for name in zfs.snapshots("tank") if name.startswith("tank@")]
    assert base == firewall.base()
    # What changed, in an incremental; the base moves on.
    (files / "var" / "one").write_text("one")
    firewall.run("zfs")
    assert base not in zfs.snapshots("tank")
    base = firewall.base()
    assert zfs.snapshots("tank") == [base, base.replace("tank@", "tank/var@")]
    # Where a run is stopped before it begins to send, what it began is gone.
    firewall.mirror.stop()
    firewall.run("zfs", expect=1)
    assert zfs.snapshots("tank") == [base, base.replace("tank@", "tank/var@")]
    firewall.mirror.start()
    # A send that is killed costs nothing: no receipt, and the base stays. (zfs-fuse never lets go of the
    # snapshots of a killed send, so from here on nobody can tell by them which was destroyed.)
    (files / "var" / "two").write_bytes(os.urandom(3_000_000))
    firewall.run_and_kill_the_send()
    assert base == firewall.base()
    assert base in zfs.snapshots("tank")
    # The next ones make up for it; a new file system and a removed file among what changed.
    firewall.run("zfs")
    zfs.run("zfs", "create", "tank/log")
    (files / "log" / "three").write_text("three")
    (files / "var" / "one").unlink()
    firewall.run("zfs")

    sets = firewall.sets()
    assert [name.split(".")[0] for name in sets] == [
        *("conf-full", "tank-full", "tank-inc", "tank-inc", "tank-inc")
    ]
    # All that is told is what the killed send left, if it got that far.
    told = findings(firewall.mirror)
    assert all("was never finished" in one and "a later set is complete" in one for one in told), told

    before = tree(files)
    altroot = tmp_path / "back"
    # Not mounted meanwhile: zfs-fuse takes a moment to let go of what is mounted again for each set.
    zfs.pool("back", tmp_path, "-R", altroot, "-m", tmp_path / "tank", "-O", "canmount=off")
    for stem in sets[1:]:
        receive(zfs, firewall, admin_key, stem, tmp_path)
    zfs.run("zfs", "set", "canmount=on", "back")
    zfs.run("zfs", "mount", "-a")
    assert tree(zfs.root / str(altroot)[1:] / str(tmp_path / "tank")[1:]) == before

    # A lost base makes a full, said loudly.
    zfs.run("zfs", "destroy", "-r", firewall.base())
    said = firewall.run("zfs")
    assert "the base of the next incremental, is gone: making a full of tank instead" in said
    assert firewall.sets()[-1].startswith("tank-full.")
    # An old full makes a new one due, and one may be asked for.
    firewall.run("zfs")
    assert firewall.sets()[-1].startswith("tank-inc.")
    snapshot, full_at = firewall.memory.read_text().split()
    firewall.memory.write_text(f"{snapshot} {int(full_at) - 31 * 86400}\n")
    firewall.run("zfs")
    assert firewall.sets()[-1].startswith("tank-full.")
    assert time.time() - int(firewall.memory.read_text().split()[1]) < 3600


def receive(zfs: Zfs, firewall: Firewall, key: Key, stem: str, folder: Path) -> None:
    """Open a set and receive it."""
    volume = next((firewall.mirror.vault / "fw1").glob(f"{stem}.*p7m"))
    content = folder / f"{stem}.stream"
    with content.open("wb") as file:
        subprocess.run(
            [*NIGHTDROP, "restore", "open", *key.arguments, volume, "-o", "-"], stdout=file, check=True
        )
    with content.open("rb") as stream:
        done = subprocess.run(
            zfs.inside("zfs", "receive", "-d", "-F", "-u", "back"),
            stdin=stream,
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == 0, f"{stem}: {done.stderr}"


def test_what_is_remembered_of_the_base(tmp_path: Path, zfs: Zfs, firewall: Firewall) -> None:
    """Of a pool with a blank in its name, beside one that is called like its first word."""
    zfs.pool("my", tmp_path)
    zfs.pool("my pool", tmp_path)
    (firewall.folder / "opnsense.conf").write_text("pool=my pool\n")
    firewall.memory = firewall.folder / "state" / "zfs.my_pool"
    older, newer = "nightdrop-20200101T000000Z", "nightdrop-29990101T000000Z"
    for snapshot in (f"my@{older}", f"my pool@{older}", f"my pool@{newer}"):
        zfs.run("zfs", "snapshot", snapshot)
    said = firewall.run("zfs")
    assert "error" not in said
    # What a killed run left is gone with the new base; what a later run has just made is not.
    base = firewall.memory.read_text().split()[0]
    assert sorted(zfs.snapshots("my pool")) == [f"my pool@{base}", f"my pool@{newer}"]
    assert zfs.snapshots("my") == [f"my@{older}"]
    # What cannot be written down does not happen: the old base stays.
    in_the_way = firewall.memory.with_suffix(".my_pool.new")
    in_the_way.mkdir()
    assert "does not become the base" in firewall.run("zfs")
    assert sorted(zfs.snapshots("my pool")) == [f"my pool@{base}", f"my pool@{newer}"]
    in_the_way.rmdir()
    # After a power cut.
    firewall.memory.write_text("")
    assert "does not say what the last base was: making a full" in firewall.run("zfs")
    assert [name.split(".")[0] for name in firewall.sets()] == [
        "my_pool-full",
        "my_pool-inc",
        "my_pool-full",
    ]
    # The pool has vanished; /conf is dropped all the same.
    zfs.run("zpool", "export", "my pool")
    assert 'there is no pool "my pool"' in firewall.run("run", expect=2)
    assert firewall.sets()[-1].startswith("conf-full.")


def test_two_runs_at_once(tmp_path: Path, zfs: Zfs, firewall: Firewall) -> None:
    """The second is skipped, and leaves the snapshots of the first alone."""
    zfs.pool("tank", tmp_path, "-m", tmp_path / "tank")
    zfs.run("zfs", "create", "tank/var")
    (zfs.root / str(tmp_path / "tank")[1:] / "var" / "big").write_bytes(os.urandom(3_000_000))
    opened = threading.Event()

    def hold(_connection: int, before: int, _piece: bytes) -> None:
        if before > 100_000:
            opened.wait()

    with (
        way_to(firewall.mirror.port, hold) as port,
        firewall.sent_to(port),
        subprocess.Popen(firewall.command("zfs"), env=firewall.variables()) as first,
    ):
        try:
            wait_for(lambda: firewall.stage("curl.mirror-f"), "a volume is on its way")
            before = zfs.snapshots("tank")
            assert len(before) == 2
            assert "a run is under way already" in firewall.run("zfs", expect=1)
            assert zfs.snapshots("tank") == before
        finally:
            opened.set()
        assert first.wait(RUN) == 0
    assert len(firewall.sets()) == 1


def test_a_receipt_that_comes_late(tmp_path: Path, zfs: Zfs, firewall: Firewall, admin_key: Key) -> None:
    """Two incrementals from one base are there then, and receiving both is right."""
    zfs.pool("tank", tmp_path, "-m", tmp_path / "tank")
    files = zfs.root / str(tmp_path / "tank")[1:]
    firewall.run("zfs")
    (files / "one").write_text("one")

    def end_the_third(connection: int, _before: int, _piece: bytes) -> None:
        # Greeted, and sent the stream; the receipt is the third.
        if connection >= 2:
            raise ConnectionAbortedError

    with way_to(firewall.mirror.port, end_the_third) as port, firewall.sent_to(port):
        assert "no mirror has the receipt" in firewall.run("zfs", expect=1)
    (files / "two").write_text("two")
    firewall.run("zfs")
    sets = firewall.sets()
    assert [name.split(".")[0] for name in sets] == ["tank-full", "tank-inc", "tank-inc"]
    zfs.pool("back", tmp_path, "-R", tmp_path / "back", "-m", tmp_path / "tank", "-O", "canmount=off")
    for stem in sets:
        receive(zfs, firewall, admin_key, stem, tmp_path)
    zfs.run("zfs", "set", "canmount=on", "back")
    zfs.run("zfs", "mount", "-a")
    assert tree(zfs.root / str(tmp_path / "back")[1:] / str(tmp_path / "tank")[1:]) == tree(files)


def test_installed_twice(firewall: Firewall) -> None:
    """From the source, and a new bundle by what is installed; scripts are never written over."""
    scripts = [firewall.folder / name for name in ("opnsense.sh", "nightdrop.sh")]
    before = [script.stat().st_ino for script in scripts]
    settings = (firewall.folder / "opnsense.conf").read_text()
    bundle = firewall.root / "bundle.toml"
    with scripts[1].open() as running:
        firewall.run("install", bundle, script=SCRIPT)
        assert running.read() == (SNOWFLAKES / "nightdrop.sh").read_text()
    assert [script.stat().st_ino for script in scripts] != before
    firewall.run("install", bundle)
    assert (firewall.folder / "opnsense.conf").read_text() == settings
    assert sorted(path.name for path in firewall.folder.iterdir()) == [
        *("mirrors", "nightdrop.conf", "nightdrop.sh", "opnsense.conf", "opnsense.sh", "recipients"),
        "state",
    ]


def test_installed_for_the_firewalls_own_cron(firewall: Firewall) -> None:
    """configd reads its actions by configparser; the cron page offers those with a description."""
    actions = configparser.ConfigParser()
    actions.read(firewall.root / "usr/local/opnsense/service/conf/actions.d/actions_nightdrop.conf")
    assert {name: actions[name]["command"].split()[1:] for name in actions.sections()} == {
        "run": ["run", "--delayed"],
        "full": ["run", "--full"],
    }
    for action in (actions[name] for name in actions.sections()):
        assert set(action) == {"command", "parameters", "type", "message", "description"}
        assert (action["type"], action["parameters"], bool(action["description"])) == ("script", "", True)
        assert os.access(f"{firewall.root}{action['command'].split()[0]}", os.X_OK)
    assert 'there is no pool "tank"' in firewall.run("zfs", expect=2)
