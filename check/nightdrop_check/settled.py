"""Settled sets: found whole once, and not judged again while nothing of them changes.

A vault keeps years of sets, and one look at it differs from the next by a day of them. So the check
remembers, of every set in which it found nothing to say, by what it would notice a change: each file's
name, size and time of change, and what the ledger says (see `looking`); and the few facts that rules
want to know of a set that is whole. What the scrub finds in one of its files unsettles it (`memory`).
"""

import json
from collections.abc import Iterable
from typing import Any, Final, NamedTuple

from nightdrop.names import SetKey
from nightdrop.receipts import Receipt, Source

FORMAT: Final = "2"
"""Goes up whenever rules want to know more of a settled set, or judge otherwise what makes it one."""

FRESH: Final = 10.0
"""Seconds in which a file may change twice at what the file system takes for one time."""


_encode: Final = json.JSONEncoder(separators=(",", ":")).encode


class Settled(NamedTuple):
    """A set that is whole: names, sizes (octets) and times of change of its files, in one order; the
    octets of all, when the first and the last of them came, and when the set did (epoch seconds); its
    receipt without its files, None where there is none, and the digests that it is known by; its `stem`.

    `sealed_to` are fingerprints of the recipients that can open every file of it; `booked` says that
    those times are the ledger's, `came_late` that the time in its name is long before them.
    """

    key: SetKey
    names: list[str]
    sizes: list[int]
    changed: list[float]
    size: int
    oldest: float
    newest: float
    received: float
    receipt: Receipt | None
    digest: str
    digests: frozenset[str]
    sealed_to: list[str]
    booked: bool
    came_late: bool
    stem: str


class Remembered(NamedTuple):
    """What is remembered of a host: on what `basis` its sets were judged; until when the ledger was read
    (epoch seconds), and its digest then; whether it tells of receipts `beyond` those of settled sets; and
    the settled sets.
    """

    basis: str = ""
    until: float = 0.0
    ledger: str = ""
    beyond: bool = True
    sets: tuple[Settled, ...] = ()


def write_settled(each: Settled) -> str:
    """A settled set as text."""
    key, receipt = each.key, each.receipt
    told = receipt and [
        *(receipt.host, receipt.started, receipt.finished, receipt.recipients, receipt.tool),
        *(receipt.source.what, receipt.source.size, receipt.source.files, receipt.source.unread),
        receipt.previous,
    ]
    fields = [[key.kind, key.end, key.type, key.start], *each[1:8], told, each.digest]
    return _encode([*fields, sorted(each.digests), each.sealed_to, *each[12:14]])


def read_settled(texts: Iterable[str]) -> tuple[Settled, ...]:
    """Settled sets from their texts; ValueError for what `write_settled` did not write."""
    # Read as one text, because there are hundreds.
    return tuple(map(_settled, json.loads(f"[{','.join(texts)}]")))


def _settled(fields: list[Any]) -> Settled:
    key = SetKey(*fields[0])
    stem = key.stem
    told, digests = fields[8], frozenset(fields[10])
    receipt = None
    if told:
        host, started, finished, recipients, tool, what, size, files, unread, previous = told
        source = Source(tuple(what), size, files, unread)
        receipt = Receipt(
            host, stem, key.type, started, finished, (), tuple(recipients), tool, source, previous
        )
    names, sizes, changed, size, oldest, newest, received = fields[1:8]
    digest, sealed_to, booked, came_late = fields[9], *fields[11:]
    facts = (names, sizes, changed, size, oldest, newest, received)
    return Settled(key, *facts, receipt, digest, digests, sealed_to, booked, came_late, stem)
