"""A good vault, made once by the real client on real mirrors; every test damages a copy of its own."""

import shutil
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from check.vaults import Mirror, Shelves, random_octets

from house import HOST, House, Key


@pytest.fixture(scope="session")
def admin(admin_key: Key) -> bytes:
    """The administrator's certificate."""
    return admin_key.certificate.read_bytes()


@pytest.fixture(scope="session")
def stranger(other_key: Key) -> bytes:
    """The certificate of somebody else."""
    return other_key.certificate.read_bytes()


@pytest.fixture(scope="session")
def good_mirror(tmp_path_factory: pytest.TempPathFactory, admin_key: Key) -> Path:
    """One of two mirrors that `nightdrop backup` dropped a full and two incrementals on."""
    house = House(tmp_path_factory.mktemp("good"), admin_key)
    house.start()
    try:
        for run in ("one", "two", "three"):
            size = 1_500_000 if run == "one" else 5_000
            (house.source / run).write_bytes(random_octets(run, size))
            house.backup()
    finally:
        house.close()
    return house.mirrors[0].root


@pytest.fixture
def shelves(good_mirror: Path, tmp_path: Path, admin_key: Key) -> Shelves:
    """A copy of the good mirror."""
    copy = tmp_path / "mirror"
    shutil.copytree(good_mirror, copy)
    shutil.copy(admin_key.certificate, copy / "admin.pem")
    config = copy / "mirror.toml"
    text = config.read_text().replace(str(good_mirror), str(copy))
    config.write_text(text.replace(str(admin_key.certificate), str(copy / "admin.pem")))
    return Shelves(config, HOST, time.time())


@pytest.fixture
def mirror(tmp_path: Path, admin: bytes) -> Mirror:
    """An empty mirror, for shelves that no real run could fill in seconds."""
    return Mirror(tmp_path / "mirror", admin)


@pytest.fixture
def now_good(mirror: Mirror) -> Shelves:
    """A mirror whose one host dropped a full just now, by the clock on the wall."""
    mirror.enroll("web")
    mirror.full("web", datetime.now(UTC) - timedelta(hours=1))
    return Shelves(mirror.config, "web", time.time())
