"""Mirrors that all tests of the door share: one over HTTPS, one over HTTP, two hosts enrolled on each."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from mirrors import Mirror, Served, make_recipient


@pytest.fixture(scope="session")
def recipient(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_recipient(tmp_path_factory.mktemp("recipient") / "recipient.pem")


@pytest.fixture(scope="session")
def https(recipient: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    yield from _serve(recipient, tmp_path_factory.mktemp("https"), tls=True)


@pytest.fixture(scope="session")
def http(recipient: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    yield from _serve(recipient, tmp_path_factory.mktemp("http"), tls=False)


@pytest.fixture(params=["https", "http"])
def served(request: pytest.FixtureRequest) -> Served:
    """Either of the two, so that a test runs over both."""
    value = request.getfixturevalue(request.param)
    assert isinstance(value, Served)
    return value


def _serve(recipient: Path, folder: Path, *, tls: bool) -> Iterator[Served]:
    with Mirror(folder, "one", [recipient], tls).start() as mirror:
        bundles = {host: folder / f"{host}.toml" for host in ("web1", "web2")}
        for host, bundle in bundles.items():
            mirror.enroll(host, bundle)
        yield Served(mirror, bundles)
        assert "trouble" not in mirror.log.read_text()
