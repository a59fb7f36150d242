"""A good vault, made once; every test damages a copy of its own."""

import shutil
from datetime import timedelta
from pathlib import Path

import pytest

from check.vaults import NIGHT, Mirror, Shelves, certificate


@pytest.fixture(scope="session")
def admin() -> bytes:
    """The administrator's certificate."""
    return certificate("admin")


@pytest.fixture(scope="session")
def stranger() -> bytes:
    """The certificate of somebody else."""
    return certificate("stranger")


@pytest.fixture(scope="session")
def good_vault(tmp_path_factory: pytest.TempPathFactory, admin: bytes) -> Path:
    """A mirror with one host's full and two incrementals."""
    mirror = Mirror(tmp_path_factory.mktemp("good") / "mirror", admin)
    mirror.enroll("web")
    last = mirror.full("web", NIGHT)
    for day in (1, 2):
        last = mirror.inc("web", last, NIGHT + timedelta(days=day))
    return mirror.folder


@pytest.fixture
def shelves(good_vault: Path, tmp_path: Path) -> Shelves:
    """A copy of the good vault."""
    shutil.copytree(good_vault, tmp_path / "mirror")
    now = NIGHT + timedelta(days=2, hours=6)
    return Shelves(tmp_path / "mirror" / "mirror.toml", "web", now.timestamp())


@pytest.fixture
def mirror(tmp_path: Path, admin: bytes) -> Mirror:
    """An empty mirror."""
    return Mirror(tmp_path / "mirror", admin)
