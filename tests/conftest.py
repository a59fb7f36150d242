"""Fixtures that all folders of tests share."""

import os
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from house import House, Key, make_key


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Those that take long begin first, so that no core stands idle at the end for the last of them."""
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)


@pytest.fixture(scope="session", autouse=True)
def _temporary_files(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What programs that are killed leave of their temporary files goes when the tests end.

    Not in pytest's own folder, whose path is too long for the sockets that some of them make there.
    """
    # That one is beside it, so it has to be found before.
    tmp_path_factory.getbasetemp()
    with tempfile.TemporaryDirectory(prefix="nightdrop-", ignore_cleanup_errors=True) as folder:
        os.environ["TMPDIR"] = tempfile.tempdir = folder
        yield


@pytest.fixture(scope="session", autouse=True)
def _ctrl_c() -> None:
    """Who runs tests in the background makes them deaf to SIGINT, and all that they start."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


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
def plain_house(tmp_path: Path, admin_key: Key) -> Iterator[House]:
    """A house with both mirrors running, without TLS: a gate can stand on the way to them."""
    house = House(tmp_path, admin_key, tls=False)
    house.start()
    yield house
    house.close()


@pytest.fixture
def still_house(tmp_path: Path, admin_key: Key) -> House:
    """A house whose mirrors do not run: enough for what ends before it asks any."""
    return House(tmp_path, admin_key)
