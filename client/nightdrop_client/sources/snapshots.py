"""Snapshots of file systems: taken before they are read, released afterwards, whatever happens.

A kill -9 is such a thing, too. What a run takes has a name that only this client uses, and is written
down before it is taken: the next run releases what it finds written down.
"""

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from nightdrop.errors import NightdropError
from nightdrop.files import whole_file
from nightdrop_client.sources import btrfs, lvm, zfs
from nightdrop_client.sources.configuration import Snapshot, SnapshotKind


class Kind(Protocol):
    """How one kind of file system does it. What is snapshotted is named as its own tools do."""

    def find(self, folder: str) -> str:
        """What is to be snapshotted for a folder; NightdropError if the folder is not of this kind."""

    def take(self, what: str, name: str, room: int, view: Path) -> str:
        """Take the snapshot `name` and make it readable, at `view` or where it lies by itself; where."""

    def release(self, what: str, name: str, view: Path) -> None:
        """Undo as much of `take` as was done; NightdropError if something of it stays."""


_KINDS: dict[SnapshotKind, Kind] = {"zfs": zfs.Zfs(), "btrfs": btrfs.Btrfs(), "lvm": lvm.Lvm()}


class Snapshots:
    """The snapshots of one client. `views` is its folder for where they are mounted and written down."""

    def __init__(self, views: Path) -> None:
        self._views = views
        # Several clients on one machine do not release each other's.
        self._name = f"nightdrop-{hashlib.sha256(str(views).encode()).hexdigest()[:12]}"

    @contextmanager
    def taken(self, snapshot: Snapshot, problems: list[str]) -> Iterator[str]:
        """A folder's content as it is now, for the time of the block: where it is to be read.

        `problems` takes what went wrong afterwards.
        """
        what = _KINDS[snapshot.kind].find(snapshot.folder)
        note, view = self._places(snapshot.kind, what)
        self._views.mkdir(mode=0o700, exist_ok=True)
        with whole_file(note, 0o600) as file:
            file.write(json.dumps({"kind": snapshot.kind, "what": what, "name": self._name}).encode())
        try:
            # One with our name that nobody has written down is a leftover all the same.
            _KINDS[snapshot.kind].release(what, self._name, view)
            yield _KINDS[snapshot.kind].take(what, self._name, snapshot.room, view)
        finally:
            problems += self._release(note)

    def release_leftovers(self) -> list[str]:
        """Release what a killed run has left; in words, what could not be."""
        notes = sorted(self._views.glob("*.json")) if self._views.is_dir() else []
        return [problem for note in notes for problem in self._release(note)]

    def _release(self, note: Path) -> list[str]:
        try:
            facts = json.loads(note.read_bytes())
            kind, what, name = _KINDS[facts["kind"]], str(facts["what"]), str(facts["name"])
        except (ValueError, KeyError, TypeError):
            # It is not asked again: what is snapshotted anew is released before.
            note.unlink()
            return [f"the note {note} was damaged: a snapshot called {self._name} may be left over"]
        _, view = self._places(facts["kind"], what)
        try:
            kind.release(what, name, view)
        except NightdropError as error:
            return [f"the snapshot {name} of {what} is still there: {error.message}"]
        if view.is_dir():
            view.rmdir()
        note.unlink()
        return []

    def _places(self, kind: str, what: str) -> tuple[Path, Path]:
        """Where a snapshot is written down, and where it is mounted."""
        digest = hashlib.sha256(f"{kind} {what}".encode()).hexdigest()[:12]
        return self._views / f"{digest}.json", self._views / digest
