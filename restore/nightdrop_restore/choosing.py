"""Which paths of a backup are wanted, and where each of them goes."""

import fnmatch
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

from nightdrop.errors import UsageError
from nightdrop_restore.items import Index

T = TypeVar("T")


@dataclass(frozen=True)
class Choice:
    """What is wanted: below any of `paths` (none: everything), and of that what, or a folder above what,
    matches any of the patterns `find` (none: all of it). The first `strip` parts of each path are left
    off where it goes.
    """

    paths: Sequence[str] = ()
    find: Sequence[str] = ()
    strip: int = 0

    @property
    def below(self) -> bytes:
        """The folder whose content goes to where is restored to; b"" for the root."""
        return b"/".join(self.indexes[0][: self.strip]) if self.indexes else b""

    @cached_property
    def indexes(self) -> list[Index]:
        """The paths, taken apart."""
        return [tuple(os.fsencode(path).split(b"/")) for path in self.paths]

    def wants(self, index: Index) -> bool:
        """Whether a path is wanted."""
        return (not self.paths or any(index[: len(path)] == path for path in self.indexes)) and (
            not self.find or any(self._found(index[:end]) for end in range(1, len(index) + 1))
        )

    def near(self, index: Index) -> bool:
        """Whether a path is at or below one of `paths`, or above one: all others need not be read."""
        return not self.paths or any(
            index[: len(path)] == path or path[: len(index)] == index for path in self.indexes
        )

    def touching(self, places: Iterable[str]) -> list[str]:
        """Those places, as paths on the host, of which something may be wanted."""
        return [place for place in places if self.near(tuple(os.fsencode(place).strip(b"/").split(b"/")))]

    def _found(self, index: Index) -> bool:
        whole, name = os.fsdecode(b"/".join(index)), os.fsdecode(index[-1])
        return any(
            fnmatch.fnmatchcase(whole, pattern.lstrip("/"))
            if "/" in pattern
            else fnmatch.fnmatchcase(name, pattern)
            for pattern in self.find
        )


def choice_of(paths: Sequence[str], find: Sequence[str], strip: int | None) -> Choice:
    """The choice that a command line makes. One path goes to the place itself, as it is; of several, and
    with `strip`, as much as said is left off. UsageError if paths would get into each other's way.
    """
    below = [path.strip("/") for path in paths]
    if any(part in ("", ".", "..") for path in below for part in path.split("/")):
        raise UsageError("--path needs a path as it was on the host, such as /etc/ssh")
    choice = Choice(below, find)
    if strip is None:
        return Choice(below, find, len(choice.indexes[0]) if len(below) == 1 else 0)
    if strip < 0 or len({index[:strip] for index in choice.indexes if len(index) >= strip}) != 1:
        raise UsageError(
            f"--strip {strip} does not fit the paths",
            "it needs --path; all of them have to begin with the same parts that are left off",
        )
    if any(len(index) < strip for index in choice.indexes):
        raise UsageError(f"--strip {strip} would leave nothing of a path")
    return Choice(below, find, strip)


@dataclass(frozen=True)
class Entry:
    """What has to be known of a path to choose: where it is, and whether it is a folder."""

    index: Index
    folder: bool


def chosen(
    things: Iterable[T],
    entry: Callable[[T], Entry],
    choice: Choice,
    on_refused: Callable[[Index], object],
) -> Iterator[T]:
    """Those of `things`, in the order of their paths, that are wanted, and the folders above them.

    What is below something that is no folder is refused: written, it would follow a symbolic link to
    anywhere. Such things are in no backup that duplicity made.
    """
    above: list[tuple[Index, T]] = []
    leaf: Index | None = None
    for thing in things:
        one = entry(thing)
        if leaf is not None and one.index[: len(leaf)] == leaf:
            on_refused(one.index)
            continue
        if not one.folder:
            leaf = one.index
        while above and one.index[: len(above[-1][0])] != above[-1][0]:
            above.pop()
        if choice.wants(one.index):
            yield from (folder for index, folder in above if len(index) >= choice.strip)
            above.clear()
            yield thing
        elif one.folder:
            above.append((one.index, thing))
