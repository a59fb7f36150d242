"""Settled sets: found whole once, and not judged again while nothing of them changes.

A vault keeps years of sets, and one look at it differs from the next by a day of them. So the check
remembers, of every set in which it found nothing to say, what its files looked like (`listings`) and what
the ledger says, and the few facts that rules want to know of a set that is whole. What the scrub finds in
one of its files unsettles it (`memory`).
"""

import json
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from nightdrop.errors import VaultError
from nightdrop.names import SetKey
from nightdrop_check.listings import Glance
from nightdrop_check.shelf import ShelfSet
from nightdrop_check.store import Store

FORMAT: Final = "3"
"""Goes up whenever rules judge otherwise what makes a set settled."""

FRESH: Final = 10.0
"""Seconds in which a file may change twice at what the file system takes for one time."""

_HOST: Final = """
SELECT until, ledger, beyond, listed, listing, loose FROM glances WHERE host = ? AND basis = ?"""
_SETS: Final = """
SELECT kind, end, type, start, stem, told, previous, sha256, digests, size, largest, oldest, newest,
    received, booked, came_late, sealed_to, listing
FROM settled_sets WHERE host = ?"""
_REMEMBER: Final = """
INSERT OR REPLACE INTO settled_sets VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"""
_NO_FILES: Final[Mapping[str, Any]] = MappingProxyType({})


class Remembered(NamedTuple):
    """What is remembered of a host: on what `basis` its sets were judged; until when the ledger was read
    (epoch seconds), and its digest then; whether it tells of receipts `beyond` those of settled sets; the
    glance at its folder; and the settled sets.
    """

    basis: str = ""
    until: float = 0.0
    ledger: str = ""
    beyond: bool = True
    glance: Glance = Glance()
    sets: Mapping[SetKey, ShelfSet] = {}


class SettledMemory:
    """The settled sets of one mirror's hosts, beside what is remembered of their files."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def of(self, host: str, basis: str) -> Remembered:
        """What is remembered of a host, if that was judged on this basis."""
        db = self._store.db
        with self._store.explained():
            row = db.execute(_HOST, (host, basis)).fetchone()
            if row is None:
                return Remembered()
            rows = db.execute(_SETS, (host,)).fetchall()
        until, ledger, beyond, listed, listing, loose = row
        try:
            glance = Glance(listed, listing, frozenset(json.loads(loose)))
            sets = {each.key: each for each in map(_settled, rows)}
        except (ValueError, TypeError, AttributeError) as error:
            raise VaultError(f"what is remembered of {host} makes no sense: {error}") from error
        return Remembered(basis, until, ledger, bool(beyond), glance, sets)

    def remember(self, host: str, before: Remembered, now: Remembered) -> None:
        """Remember of a host what is so `now` in place of what was `before`."""
        rows = [_row(host, each) for key, each in now.sets.items() if before.sets.get(key) is not each]
        lost = [(host, each.stem) for key, each in before.sets.items() if key not in now.sets]
        if not rows and not lost and before[:5] == now[:5]:
            return
        with self._store.transaction():
            db = self._store.db
            if before.basis != now.basis:
                db.execute("DELETE FROM settled_sets WHERE host = ?", (host,))
            facts = (host, *now[:4], *now.glance[:2], json.dumps(sorted(now.glance.loose)))
            db.execute("INSERT OR REPLACE INTO glances VALUES (?, ?, ?, ?, ?, ?, ?, ?)", facts)
            db.executemany("DELETE FROM settled_sets WHERE host = ? AND stem = ?", lost)
            db.executemany(_REMEMBER, rows)


def _row(host: str, each: ShelfSet) -> tuple[object, ...]:
    key = each.key
    return (
        *(host, each.stem, key.kind, key.end, key.type, key.start, each.told, each.previous),
        *(each.receipt_sha256, " ".join(sorted(each.receipt_digests)), each.size, each.largest),
        *(each.oldest_file, each.newest_file, each.received, each.booked, each.came_late),
        *(" ".join(each.sealed_to), each.settled),
    )


def _settled(row: tuple[Any, ...]) -> ShelfSet:
    kind, end, type_, start, stem, told, previous, sha256, digests, *numbers, sealed_to, listing = row
    key, files = SetKey(kind, end, type_, start), _NO_FILES
    state, signature = "usable" if told else "absent", "not asked for"
    # Not by the names of the fields, because there are hundreds of sets.
    return ShelfSet._make((
        *(key, stem, files, told, previous, state, "", sha256, digests.split(), (), files, signature, ""),
        *(*numbers, listing, tuple(sealed_to.split())),
    ))  # fmt: skip
