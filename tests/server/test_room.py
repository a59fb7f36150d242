"""How the door counts what a host keeps: never too little, whatever happens at the same time."""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from nightdrop.mirror import load_mirror
from nightdrop.vault import FolderVault, StoredFile
from nightdrop_server import room as room_module
from nightdrop_server.answers import Refused
from nightdrop_server.room import Room

from mirrors import Mirror, new_name

QUOTA = 100


class Watched(FolderVault):
    """A vault in which something may happen just after a folder was listed."""

    meanwhile: Callable[[], object] = staticmethod(lambda: None)
    listed = 0

    def list(self, host: str, most: int | None = None) -> list[StoredFile]:
        found = super().list(host, most)
        self.listed += 1
        happens, self.meanwhile = self.meanwhile, lambda: None
        happens()
        return found


class Place:
    """A host's folder, and the door's room for it."""

    def __init__(self, mirror: Mirror) -> None:
        mirror.vault.mkdir()
        self.folder = mirror.vault / "web1"
        self.folder.mkdir()
        self.vault = Watched(mirror.vault)
        self.room = Room(load_mirror(mirror.config), self.vault)

    @contextmanager
    def uploading(self, octets: int, quota: int = QUOTA) -> Iterator[None]:
        """One upload, from when it is given room until it has a name."""
        with (
            self.vault.folder("web1") as folder,
            self.room.upload("web1", quota, folder, octets) as upload,
        ):
            self.room.use(upload, octets)
            yield
            named = time.monotonic()
            (self.folder / new_name()).write_bytes(bytes(octets))
            self.room.keep(upload, named)

    def upload(self, octets: int, quota: int = QUOTA) -> None:
        with self.uploading(octets, quota):
            pass


@pytest.fixture
def place(recipient: Path, tmp_path: Path) -> Place:
    return Place(Mirror(tmp_path, "small", [recipient], tls=False))


def test_what_is_named_while_files_are_counted_counts(place: Place) -> None:
    """It is no more under way, and not yet in the listing: the moment to get twice the quota."""
    first = place.uploading(60)
    first.__enter__()
    place.vault.meanwhile = lambda: first.__exit__(None, None, None)
    with pytest.raises(Refused, match="quota of web1"):
        place.upload(60)
    assert len(os.listdir(place.folder)) == 1
    place.upload(40)
    with pytest.raises(Refused, match="has 100 B"):
        place.upload(1)


def test_a_folder_is_not_listed_for_each_upload(place: Place) -> None:
    for _ in range(20):
        place.upload(5)
    assert place.vault.listed == 1
    with pytest.raises(Refused, match="has 100 B"):
        place.upload(5)
    for path in place.folder.iterdir():
        path.unlink()
    place.upload(100)


def test_no_host_keeps_more_files_than_anybody_looks_at(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One more than that, so that the check tells of it; with or without a quota."""
    monkeypatch.setattr(room_module, "MOST_FILES", 5)
    for _ in range(6):
        place.upload(0, quota=0)
    with pytest.raises(Refused, match="keeps 6 files"):
        place.upload(0, quota=0)
    next(place.folder.iterdir()).unlink()
    place.upload(0, quota=0)
