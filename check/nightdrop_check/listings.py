"""What a host's folder looks like from outside: whether its listing, or a part of it, is as it was.

Every file shows its name, its size and when the file system last changed it, which no client can choose.
"""

from array import array
from collections.abc import Collection, Iterable, Sequence
from hashlib import blake2b
from typing import NamedTuple

from nightdrop.vault import StoredFile


def digest(entries: Iterable[Sequence[object]], of: Iterable[str] = ()) -> str:
    """What stays the same while these files look as they do: name, size and time of change of each; and
    while they are `of` the same, in any order.
    """
    names, sizes, changed, *_ = zip(*entries, strict=True)
    hasher = blake2b("/".join(names).encode(errors="surrogateescape"), digest_size=16)
    hasher.update(array("q", sizes))
    hasher.update(array("d", changed))
    hasher.update("".join(sorted(of)).encode())
    return hasher.hexdigest()


class Glance(NamedTuple):
    """By what a look sees at once that no file of the settled sets has changed: the digest of all files
    that had last changed until a time (epoch seconds), and of these sets; and the names of those of the
    files that are `loose`: of none of them. Sets are given by the digests of their own files.
    """

    until: float = 0.0
    digest: str = ""
    loose: frozenset[str] = frozenset()


def take_glance(entries: Sequence[StoredFile], settled: Collection[str], sets: Iterable[str]) -> Glance:
    """A glance at a folder in which the files of these names are those of these settled sets."""
    until = max([entry.changed for entry in entries if entry.name in settled], default=0.0)
    if not until:
        return Glance()
    calm = _calm(entries, until)
    return Glance(until, digest(calm, sets), frozenset([e.name for e in calm if e.name not in settled]))


def beside_settled(
    entries: Sequence[StoredFile], glance: Glance, sets: Iterable[str]
) -> list[StoredFile] | None:
    """What lies there beside the files of these sets; None if it takes more than a glance to tell."""
    until, before, loose = glance
    calm = _calm(entries, until)
    if not calm or digest(calm, sets) != before:
        return None
    return [each for each in entries if each.changed > until or not each.regular or each.name in loose]


def _calm(entries: Sequence[StoredFile], until: float) -> list[StoredFile]:
    return [entry for entry in entries if entry.changed <= until and entry.regular]
