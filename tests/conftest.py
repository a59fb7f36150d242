"""Fixtures that all folders of tests share."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from house import House, Key, make_key


@pytest.fixture(scope="session")
def admin_key(tmp_path_factory: pytest.TempPathFactory) -> Key:
    """The administrator's key."""
    return make_key(tmp_path_factory.mktemp("keys") / "admin")


@pytest.fixture(scope="session")
def other_key(tmp_path_factory: pytest.TempPathFactory) -> Key:
    """A key that is nobody's here."""
    return make_key(tmp_path_factory.mktemp("keys") / "other", "other")


@pytest.fixture
def house(tmp_path: Path, admin_key: Key) -> Iterator[House]:
    """A house with both mirrors running."""
    house = House(tmp_path, admin_key)
    house.start()
    yield house
    house.close()
