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
def house(still_house: House) -> Iterator[House]:
    """A house with both mirrors running."""
    still_house.start()
    yield still_house
    still_house.close()


@pytest.fixture
def still_house(tmp_path: Path, admin_key: Key) -> House:
    """A house whose mirrors do not run: enough for what ends before it asks any."""
    return House(tmp_path, admin_key)
