"""A drill: a few files of a host, by chance, restored as on the day when it counts, and compared."""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from nightdrop.drills import DrilledHost
from nightdrop.errors import NightdropError
from nightdrop_restore.choosing import Choice
from nightdrop_restore.envelope.unwrapping import Key
from nightdrop_restore.noting import Restored
from nightdrop_restore.origin import Origin
from nightdrop_restore.restoring import Writing, restore
from nightdrop_restore.sampling import Sample, sample
from nightdrop_restore.streams import open_stream, streams_at, verified
from nightdrop_restore.vaults.catalog import NEWEST, StoredSet, catalogue, chain_at, passed_over
from nightdrop_restore.vaults.copies import Place, SilentError
from nightdrop_restore.vaults.judging import judged_chain
from nightdrop_restore.writing.workplaces import locked_folder

OnText = Callable[[str], object]


@dataclass(frozen=True)
class Drilled:
    """How a host fared: what goes into the record, and what went wrong, in words."""

    record: DrilledHost
    problems: list[str]


def drill(
    places: Sequence[Place], hosts: Iterable[str], key: Key, number: int, *, folder: Path
) -> Iterator[Drilled]:
    """Drill these hosts, one after the other; see `drill_host`.

    Once a vault does not answer, it is not asked for the hosts that are left, either: each time, it would
    be waited for.
    """
    silent: SilentError | None = None
    for host in hosts:
        try:
            if silent is None:
                yield from drill_host(places, host, key, number, folder=folder)
        except SilentError as error:
            silent = error
        if silent is not None:
            yield _failed(host, "", silent, time.monotonic())


def drill_host(
    places: Sequence[Place], host: str, key: Key, number: int, *, folder: Path
) -> list[Drilled]:
    """Drill the newest state of a host: so many files of duplicity's chain, and the newest full of every
    other kind, opened to its end. Whatever goes wrong is part of what is told; SilentError if a vault
    does not even tell what there is.

    Works in `folder`, and leaves nothing there.
    """
    begun = time.monotonic()
    try:
        sets = catalogue(places, host)
    except SilentError:
        raise
    except NightdropError as error:
        return [_failed(host, "", error, begun)]
    found = []
    for kind in sorted({one.key.kind for one in sets}):
        of_kind = [one for one in sets if one.key.kind == kind]
        if kind == "duplicity":
            found.append(_drill_files(places, host, of_kind, key, number, folder=folder))
        else:
            found.append(_drill_stream(places, host, of_kind, key))
    return found


def _drill_files(
    places: Sequence[Place], host: str, sets: list[StoredSet], key: Key, number: int, *, folder: Path
) -> Drilled:
    begun = time.monotonic()
    try:
        chain = chain_at(sets, NEWEST)
    except NightdropError as error:
        return _failed(host, "", error, begun)
    stem = chain[-1].key.stem
    newer = passed_over(sets, chain, NEWEST)
    origin = Origin(places, host, judged_chain(host, chain), lambda: key, newer)
    try:
        with locked_folder("drill", folder) as work:
            _there, chosen = sample(work, origin, number)
            # What counts is how long restoring takes; which files, one knows on the day itself.
            begun = time.monotonic()
            if not chosen:
                return Drilled(DrilledHost(host, stem, 0, 0, 0, 0.0), [])
            to = work / "restored"
            done = restore(origin, Writing(to, _choice(chosen)), lambda _done: None)
            seconds = time.monotonic() - begun
            good, octets, problems = _compared(to, chosen, done)
            return Drilled(
                DrilledHost(host, stem, len(chosen), good, octets, round(seconds, 1)), problems
            )
    except NightdropError as error:
        return _failed(host, stem, error, begun)


def _choice(chosen: Sequence[Sample]) -> Choice:
    return Choice([_path(one) for one in chosen])


def _compared(to: Path, chosen: Sequence[Sample], done: Restored) -> tuple[int, int, list[str]]:
    """How many of the files are what they were, their octets, and what is wrong with the others."""
    problems, octets, good = list(done.warnings), 0, 0
    for one in chosen:
        restored = to / _path(one)
        if (reason := done.unrestored.of(_path(one))) is not None:
            problems.append(f"{_path(one)}: {reason}")
        elif not one.is_like(restored):
            problems.append(f"{_path(one)}: it is not what was backed up")
        else:
            good += 1
            octets += restored.stat().st_size
    return good, octets, problems


def _path(one: Sample) -> str:
    return b"/".join(one.index).decode("utf-8", "surrogateescape")


def _drill_stream(places: Sequence[Place], host: str, sets: list[StoredSet], key: Key) -> Drilled:
    begun = time.monotonic()
    octets = 0

    def count(piece: bytes) -> None:
        nonlocal octets
        octets += len(piece)

    stem = sets[-1].key.stem
    try:
        stream = streams_at(places, host, sets, NEWEST)[0]
        stem = stream.key.stem
        open_stream(stream, verified(stream, lambda _octets: None), [key], count)
    except NightdropError as error:
        return _failed(host, stem, error, begun)
    return Drilled(DrilledHost(host, stem, 1, 1, octets, round(time.monotonic() - begun, 1)), [])


def _failed(host: str, stem: str, error: NightdropError, begun: float) -> Drilled:
    record = DrilledHost(host, stem, 1, 0, 0, round(time.monotonic() - begun, 1))
    return Drilled(record, [error.message])
