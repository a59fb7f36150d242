"""A good vault, made once by the real client on real mirrors; every test damages a copy of its own."""

import shutil
import subprocess
import time
from pathlib import Path

import pytest

from check.vaults import Mirror, Shelves, certificate, hashes_stream

import mirrors

HOST = "web1"


@pytest.fixture(scope="session")
def admin() -> bytes:
    """The administrator's certificate."""
    return certificate("admin")


@pytest.fixture(scope="session")
def stranger() -> bytes:
    """The certificate of somebody else."""
    return certificate("stranger")


@pytest.fixture(scope="session")
def good_mirror(tmp_path_factory: pytest.TempPathFactory, admin: bytes) -> Path:
    """One of two mirrors that `nightdrop backup` dropped a full and two incrementals on."""
    root = tmp_path_factory.mktemp("good")
    source = root / "source"
    source.mkdir()
    config = root / "client.toml"
    config.write_text(
        f'bundle = "bundle.toml"\nstate = "client"\nvolume_size = "1M"\n'
        f'[folders]\ninclude = ["{source}"]\n'
    )
    both = []
    for name in ("mirror-a", "mirror-b"):
        certificate_file = root / name / "admin.pem"
        certificate_file.parent.mkdir()
        certificate_file.write_bytes(admin)
        both.append(mirrors.Mirror(root, name, [certificate_file]))
        both[-1].enroll(HOST, root / "bundle.toml")
    with both[0], both[1]:
        for run in ("one", "two", "three"):
            (source / run).write_bytes(hashes_stream(run, 1_500_000 if run == "one" else 5_000))
            command = [*mirrors.NIGHTDROP, "backup", "--config", str(config)]
            subprocess.run(command, check=True)
    return both[0].root


@pytest.fixture
def shelves(good_mirror: Path, tmp_path: Path) -> Shelves:
    """A copy of the good mirror."""
    copy = tmp_path / "mirror"
    shutil.copytree(good_mirror, copy)
    config = copy / "mirror.toml"
    config.write_text(config.read_text().replace(str(good_mirror), str(copy)))
    return Shelves(config, HOST, time.time())


@pytest.fixture
def mirror(tmp_path: Path, admin: bytes) -> Mirror:
    """An empty mirror, for shelves that no real run could fill in seconds."""
    return Mirror(tmp_path / "mirror", admin)
