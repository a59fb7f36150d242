"""Opening every envelope of a host to its end, and comparing it with its receipt."""

import hashlib
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, BinaryIO, Final

from nightdrop.errors import EnvelopeError, VaultError
from nightdrop.names import parse_name
from nightdrop_restore.envelope.opening import open_envelope
from nightdrop_restore.envelope.unwrapping import Key
from nightdrop_restore.vaults.catalog import StoredSet
from nightdrop_restore.vaults.copies import Place, SilentError
from nightdrop_restore.vaults.judging import problem_of
from nightdrop_restore.vaults.trusting import Trusted, trusted_receipt

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

_CHUNK: Final = 1024 * 1024
_AHEAD: Final = 64
"""Envelopes that are queued behind the one whose verdict comes next, which may be a long one."""

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
    place: Place,
    host: str,
    sets: Iterable[StoredSet],
    keys: Sequence[Key],
    *,
    signers: tuple["Certificate", ...],
    on_read: OnRead,
) -> Iterator[Verdict]:
    """A verdict on every envelope in these sets of a host, on what they lack, and on each set that none
    of the signers signed, if there are any.

    As many at once as there are processors.
    """

    silent: list[str] = []

    def opened(name: str, size: int, sha256: str) -> Verdict:
        if silent:
            return Verdict(place.name, host, name, 0, silent[0])
        try:
            with place.vault.open(host, name) as stored:
                problem = _problem(_Hashing(stored, on_read), sha256, keys)
        except SilentError as error:
            # Nor will it for the next; and to wait for it each time would take all day.
            silent.append(str(error))
            return Verdict(place.name, host, name, 0, silent[0])
        except (VaultError, OSError) as error:
            problem = str(error)
        return Verdict(place.name, host, name, size, problem)

    def looks() -> Iterator[Callable[[], Verdict]]:
        for one in sets:
            trusted = trusted_receipt(host, one.key, one.stored, signers)
            told = {file.name: file.sha256 for file in trusted.receipt.files} if trusted.receipt else {}
            for name, problem in _lacking(one, trusted):
                yield partial(Verdict, place.name, host, name, 0, problem)
            for name, [(_place, size)] in sorted(one.stored.items()):
                if _is_sealed(name):
                    yield partial(opened, name, size, told.get(name, ""))

    return _in_turn(looks())


def _lacking(one: StoredSet, trusted: Trusted) -> Iterator[tuple[str, str]]:
    """What can be told of a set before its envelopes are opened: of which file or set, and what."""
    if trusted.receipt is not None:
        missing = (file.name for file in trusted.receipt.files if file.name not in one.stored)
        yield from ((name, "it is missing") for name in missing)
    elif not one.unfinished and (problem := problem_of(one, trusted)):
        yield one.key.stem, problem
    if trusted.unsigned:
        yield one.key.stem, f"the host did not sign it: {trusted.unsigned}"


def _in_turn(looks: Iterator[Callable[[], Verdict]]) -> Iterator[Verdict]:
    """What each of them finds, in their order."""
    pool = ThreadPoolExecutor(os.cpu_count() or 1)
    ahead: deque[Future[Verdict]] = deque()
    try:
        for look in looks:
            ahead.append(pool.submit(look))
            if len(ahead) > _AHEAD:
                yield ahead.popleft().result()
        while ahead:
            yield ahead.popleft().result()
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
