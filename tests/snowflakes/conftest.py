"""Two mirrors that serve for all these tests, and the client in each shell."""

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import pytest

from snowflakes.clients import ONLY, SHELLS, TESTED, Client, Mirrors, programs_of
from snowflakes.firewalls import firewall, zfs

from house import Key
from mirrors import Mirror

__all__ = ["firewall", "zfs"]

HOST = "router1"

NewClient = Callable[..., Client]


@pytest.fixture(scope="session")
def unlocked(tmp_path_factory: pytest.TempPathFactory, admin_key: Key) -> Path:
    """The administrator's key without its passphrase, for openssl."""
    path = tmp_path_factory.mktemp("unlocked") / "key.pem"
    passphrase = f"file:{admin_key.passphrase}"
    subprocess.run(
        ["openssl", "pkey", "-in", admin_key.private, "-passin", passphrase, "-out", path], check=True
    )
    return path


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory, admin_key: Key, unlocked: Path) -> Iterator[Mirrors]:
    """Both mirrors, with one host enrolled."""
    root = tmp_path_factory.mktemp("home")
    mirrors = [Mirror(root, name, [admin_key.certificate]) for name in ("mirror-a", "mirror-b")]
    bundle = root / "bundle.toml"
    for mirror in mirrors:
        mirror.enroll(HOST, bundle, "--kind", "shell")
        mirror.start()
    yield Mirrors(mirrors, admin_key, unlocked, bundle, HOST)
    for mirror in mirrors:
        mirror.stop()


@pytest.fixture(scope="session")
def busybox(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with busybox's programs, and of others only those that a router has beside them."""
    folder = tmp_path_factory.mktemp("busybox")
    subprocess.run(["busybox", "--install", "-s", folder], check=True)
    for name in ("openssl", "curl"):
        found = shutil.which(name)
        assert found
        (folder / name).unlink(missing_ok=True)
        (folder / name).symlink_to(found)
    return folder


@pytest.fixture
def new_client(tmp_path: Path, home: Mirrors, busybox: Path) -> NewClient:
    """Install a client, for a shell."""
    numbers = count()

    def install(shell: str = "dash") -> Client:
        shell = ONLY or shell
        return Client(
            tmp_path / f"client{next(numbers)}", home, SHELLS[shell], programs_of(shell, busybox)
        )

    return install


@pytest.fixture(params=TESTED)
def client(request: pytest.FixtureRequest, new_client: NewClient) -> Client:
    """A client in each shell."""
    return new_client(request.param)


@pytest.fixture(params=[ONLY] if ONLY else ["ash", "dash"])
def some_client(request: pytest.FixtureRequest, new_client: NewClient) -> Client:
    """A client in two shells: the one of routers, with busybox's programs, and dash with GNU's."""
    return new_client(request.param)


@pytest.fixture(scope="session")
def noise(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """2.5 MB that nothing compresses: three volumes of 1 MB. Not from its first octet on: one in 20,000
    would begin as gzip or xz does, which zstd undoes, too.
    """
    path = tmp_path_factory.mktemp("noise") / "noise"
    path.write_bytes(b"noise" + os.urandom(2_500_000 - 5))
    return path
