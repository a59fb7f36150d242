"""A volume that no vault has whole costs the regular files in it, and nothing else.

duplicity gives up at such a volume, or, told to ignore it, restores files with a piece missing or as
they were a set before, and says nothing. Here, the signatures of the set tell which files were in the
volume. Whatever they keep in full (folders, links, special files, deletions) is taken from them; of
each regular file, a mark stands where its change was, and a file whose newest state builds on a mark
is not restored at all, and named.
"""

import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import takewhile
from pathlib import Path
from tarfile import TarError
from typing import Any

from duplicity import diffdir, dup_main, dup_temp, file_naming, patchdir
from duplicity.dup_temp import TempDupPath
from duplicity.errors import FatalError
from duplicity.gpg import GPGError
from duplicity.path import ROPath

from nightdrop.errors import VaultError
from nightdrop.names import SetKey, parse_name
from nightdrop_restore.choosing import Choice
from nightdrop_restore.engine.ahead import Ahead
from nightdrop_restore.items import Index, shown
from nightdrop_restore.vaults.copies import Copies, SilentError
from nightdrop_restore.writing.room import NO_ROOM

OnLost = Callable[[Index, str], object]
"""Told of a path that is not restored, and why."""


class Losses:
    """What is lost of the sets of one chain, found out while they are read."""

    def __init__(
        self,
        chain: Sequence[SetKey],
        copies: Copies,
        on_fetch: Callable[[str, int], object],
        on_lost: OnLost,
        choice: Choice,
    ) -> None:
        self._copies = copies
        self._on_fetch = on_fetch
        self._on_lost = on_lost
        self._choice = choice
        self._sets = {key: _SetLosses(partial(self._signatures, key)) for key in chain}
        self._in_use: dict[Index, list[_SetLosses]] = {}
        self._ahead = Ahead(self._fetch)

    def install(self) -> None:
        """Have duplicity restore with this in force."""
        dup_main.restore_get_enc_fileobj = self._fetch_volume
        read_tar = patchdir.difftar2path_iter
        normalize = patchdir.normalize_ps
        # duplicity asks for the sets of the chain in their order, and for each of them once.
        in_order = iter(self._sets.values())

        def paths(tarfile: Any) -> Iterator[ROPath]:
            return next(in_order).marked(read_tar(_Near(tarfile, self._choice)))

        def normalized(patches: list[ROPath]) -> list[ROPath]:
            used: list[ROPath] = normalize(patches)
            first = used[0]
            if getattr(first, "lost", ""):
                self._tell(first.index, first.lost)
                return [first]
            for one in used:
                if isinstance(getattr(one, "fileobj", None), patchdir.Multivol_Filelike):
                    self._in_use.setdefault(one.index, []).append(one.losses)
            return used

        patchdir.difftar2path_iter = paths
        patchdir.normalize_ps = normalized

    def look_ahead(self) -> None:
        """Have volumes fetched before they are asked for, once it is settled which are."""
        self._ahead.install()

    def of(self, index: Index) -> str:
        """Why a file that was just read is not whole, if a piece of it turned out to be lost; else ""."""
        for losses in self._in_use.get(index, ()):
            if index in losses.spoiled:
                return losses.spoiled[index]
        return ""

    def _fetch_volume(self, _backend: object, filename: bytes, volume: Any) -> Any:
        """Stands for duplicity's own: the volume, open to be read in the clear, or None if it is lost."""
        name = os.fsdecode(filename)
        try:
            path, octets = self._ahead.get(name, volume)
        except SilentError as error:
            # Else everything that is still to come would be told of as lost, a volume after the other.
            raise FatalError(str(error)) from error
        except VaultError as error:
            parsed = parse_name(name)
            assert parsed is not None
            self._sets[parsed.set].lose(volume, str(error))
            return None
        self._on_fetch(name, octets)
        return path.filtered_open_with_delete("rb")

    def _fetch(self, name: str, path: TempDupPath, volume: Any) -> int:
        def accept(_path: Path) -> str:
            good, expected, _found = dup_main.restore_check_hash(volume, path)
            return "" if good else f"it is altered: its {expected[0]} is not what the manifest says"

        return self._copies.fetch(name, Path(os.fsdecode(path.name)), accept)

    def _tell(self, index: Index, reason: str) -> None:
        if self._choice.wants(index):
            self._on_lost(index, reason)

    def _signatures(self, key: SetKey) -> Iterator[ROPath]:
        name = key.signatures_name
        path = dup_temp.new_tempduppath(file_naming.parse(os.fsencode(name)))
        self._on_fetch(name, self._copies.fetch(name, Path(os.fsdecode(path.name))))
        return diffdir.sigtar2path_iter(path.filtered_open_with_delete("rb"))  # type: ignore[no-any-return]


class _Near:
    """Of a tar file that duplicity reads, what is wanted, and the folders above that.

    Not all volumes are read where only some paths are wanted: a change to another file may come without
    what it changes. And what is left out here, nobody takes apart.
    """

    def __init__(self, archive: Any, choice: Choice) -> None:
        self._archive = archive
        self._choice = choice
        self.extractfile = archive.extractfile

    def __iter__(self) -> Iterator[Any]:
        # Of no volumes at all, it gives a None, again and again.
        members = takewhile(bool, self._archive)
        return filter(self._is_near, members) if self._choice.paths else members

    def _is_near(self, member: Any) -> bool:
        return self._choice.near(patchdir.get_index_from_tarinfo(member)[0])


class _SetLosses:
    """What is lost of one set: marks to be merged into what is read of it, in the order of paths.

    The signatures are in that order, too, and are read on to where the volumes are: what is lost may be
    more than memory holds.
    """

    def __init__(self, read_signatures: Callable[[], Iterator[ROPath]]) -> None:
        self.spoiled: dict[Index, str] = {}
        self._partial: dict[Index, str] = {}
        self._signatures = _Ordered(read_signatures)
        self._lost: deque[tuple[Index, Index, str]] = deque()
        self._marks: Iterator[ROPath] = iter(())
        self._mark: ROPath | None = None
        self._last: Index | None = None

    def lose(self, volume: Any, reason: str) -> None:
        """Note that a volume is lost: what of it can still be had, and what cannot."""
        first, last = volume.start_index, volume.end_index
        # A last block has no number in a manifest. But what is being read and goes on here is not whole.
        if volume.start_block is not None or first == self._last:
            self.spoiled.setdefault(first, reason)
        if volume.end_block is not None:
            self._partial[last] = reason
        self._lost.append((first, last, reason))

    def marked(self, paths: Iterator[ROPath]) -> Iterator[ROPath]:
        """What is read of the set, with marks in place of what is lost."""
        for path in paths:
            # Reading on may have lost volumes; what was in them comes before this.
            while (kept := self._next_mark()) is not None and kept.index < path.index:
                yield self._take(kept)
            if kept is not None and kept.index == path.index:
                yield self._take(kept)
            elif path.index in self._partial:
                yield self._own(mark(path.index, self._partial[path.index]))
            else:
                self._last = path.index
                yield self._own(path)
        while (kept := self._next_mark()) is not None:
            yield self._take(kept)

    def _next_mark(self) -> ROPath | None:
        """What comes next of what is lost, and stays next until it is taken; None if there is no more."""
        while self._mark is None or (self._last is not None and self._mark.index <= self._last):
            self._mark = next(self._marks, None)
            if self._mark is None:
                if not self._lost:
                    return None
                self._marks = self._marks_of(*self._lost.popleft())
        return self._mark

    def _marks_of(self, first: Index, last: Index, reason: str) -> Iterator[ROPath]:
        """What the set's signatures say was between these paths; if they are lost too, only these two."""
        try:
            for entry in self._signatures.between(first, last):
                yield mark(entry.index, reason) if entry.difftype == "signature" else entry
        except (VaultError, OSError, EOFError, ValueError, TarError, GPGError) as error:
            if isinstance(error, OSError) and error.errno in NO_ROOM:
                raise
            unknown = f"{reason}; and all between {shown(first)} and {shown(last)} may be lost or old"
            yield from (mark(first, unknown), mark(last, unknown))

    def _take(self, kept: ROPath) -> ROPath:
        self._mark, self._last = None, kept.index
        return self._own(kept)

    def _own(self, path: ROPath) -> ROPath:
        path.losses = self
        return path


class _Ordered:
    """Entries in the order of their paths, read once, from one range of paths to the next."""

    def __init__(self, read: Callable[[], Iterator[ROPath]]) -> None:
        self._read = read
        self._entries: Iterator[ROPath] | None = None
        self._next: ROPath | None = None
        self._failure: Exception | None = None

    def between(self, first: Index, last: Index) -> Iterator[ROPath]:
        """The entries from one path to another; raises what reading them raised, each time again."""
        while (entry := self._peek()) is not None and entry.index <= last:
            self._next = None
            if entry.index >= first:
                yield entry

    def _peek(self) -> ROPath | None:
        if self._failure is not None:
            raise self._failure
        try:
            if self._entries is None:
                self._entries = self._read()
            if self._next is None:
                self._next = next(self._entries, None)
        except Exception as error:
            self._failure = error
            raise
        return self._next


def mark(index: Index, reason: str) -> ROPath:
    """A mark: duplicity takes it for a file that was deleted."""
    path = ROPath(index)
    path.difftype = "deleted"
    path.lost = reason
    return path
