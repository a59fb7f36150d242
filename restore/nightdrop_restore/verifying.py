"""Opening every envelope of a host to its end, and comparing it with its receipt."""

import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import BinaryIO, Final

from nightdrop.errors import EnvelopeError, VaultError
from nightdrop.names import parse_name
from nightdrop_restore.catalog import VaultSet
from nightdrop_restore.copies import Place, SilentError
from nightdrop_restore.opening import open_envelope
from nightdrop_restore.unwrapping import Key

_CHUNK: Final = 1024 * 1024

OnRead = Callable[[int], object]


@dataclass(frozen=True)
class Verdict:
    """On one file of a vault, or a set that lacks something: its octets as stored, and what is wrong with
    it, "" for nothing.
    """

    vault: str
    host: str
    name: str
    size: int
    problem: str


def verify(
    place: Place, host: str, sets: Sequence[VaultSet], keys: Sequence[Key], on_read: OnRead
) -> Iterator[Verdict]:
    """A verdict on every envelope in these sets of a host, and on each set that lacks something.

    As many at once as there are processors.
    """
    told = {file.name: file.sha256 for one in sets if one.receipt for file in one.receipt.files}
    names = [(name, size) for one in sets for name, size in sorted(one.files.items()) if _is_sealed(name)]

    silent: list[str] = []

    def look(file: tuple[str, int]) -> Verdict:
        name, size = file
        if silent:
            return Verdict(place.name, host, name, 0, silent[0])
        try:
            with place.vault.open(host, name) as stored:
                problem = _problem(_Hashing(stored, on_read), told.get(name, ""), keys)
        except SilentError as error:
            # Nor will it for the next; and to wait for it each time would take all day.
            silent.append(str(error))
            return Verdict(place.name, host, name, 0, silent[0])
        except (VaultError, OSError) as error:
            problem = str(error)
        return Verdict(place.name, host, name, size, problem)

    for one in sets:
        if one.receipt is None and one.problem and not one.unfinished:
            yield Verdict(place.name, host, one.key.stem, 0, one.problem)
        for file in one.receipt.files if one.receipt else ():
            if file.name not in one.files:
                yield Verdict(place.name, host, file.name, 0, "it is missing")
    pool = ThreadPoolExecutor(os.cpu_count() or 1)
    try:
        yield from pool.map(look, names)
    finally:
        # Whoever is interrupted does not wait until a long file is read, or a mirror answers.
        pool.shutdown(wait=False, cancel_futures=True)


def _is_sealed(name: str) -> bool:
    parsed = parse_name(name)
    return parsed is not None and parsed.sealed


def _problem(reader: "_Hashing", sha256: str, keys: Sequence[Key]) -> str:
    """What is wrong with an envelope, read to its end whatever it is; "" for nothing."""
    problem = ""
    try:
        open_envelope(reader.read, lambda _octets: None, keys)
    except EnvelopeError as error:
        problem = f"{error.message} ({error.hint})" if error.hint else error.message
    while reader.read(_CHUNK):
        pass
    if sha256 and reader.digest.hexdigest() != sha256:
        return "it is not what its receipt says" + (f": {problem}" if problem else "")
    return problem


class _Hashing:
    """Reads a file, and hashes what is read."""

    def __init__(self, file: BinaryIO, on_read: OnRead) -> None:
        self.digest = hashlib.sha256()
        self._file = file
        self._on_read = on_read

    def read(self, octets: int) -> bytes:
        piece = self._file.read(octets)
        self.digest.update(piece)
        self._on_read(len(piece))
        return piece
