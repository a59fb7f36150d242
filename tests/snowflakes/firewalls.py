"""A firewall on ZFS for tests, on one mirror.

The ZFS is real (zfs-fuse, pool version 23), in a mount namespace of its own. FreeBSD cannot run here.
"""

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from snowflakes.clients import ONLY, RUN, SHELLS, SNOWFLAKES

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
    """A configuration on a firewall with a pool `tank`, and its host on one mirror."""

    def __init__(
        self, root: Path, zfs: Zfs, mirror: Mirror, host: str = "fw1", folder: str = "nightdrop"
    ) -> None:
        self.root, self.zfs, self.mirror, self.host = root, zfs, mirror, host
        self.folder = root / "usr" / "local" / "etc" / folder
        self.environment = {} if folder == "nightdrop" else {"NIGHTDROP_FOLDER": str(self.folder)}
        self.memory = self.folder / "state" / "zfs.tank"
        self.temporary = root / "temporary"
        for path in (root / "conf", self.temporary):
            path.mkdir(parents=True, exist_ok=True)
        (root / "conf" / "config.xml").write_text("<opnsense/>\n")
        bundle = root / f"{host}.bundle.toml"
        mirror.enroll(host, bundle, "--kind", "shell")
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
        return (
            environment_without_proxies()
            | {"ROOT": str(self.root), "PATH": "/usr/bin:/bin"}
            | self.environment
        )

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
        names = sorted(os.listdir(self.mirror.vault / self.host), key=lambda name: name.split(".")[1])
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
