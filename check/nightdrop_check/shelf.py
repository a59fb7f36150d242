"""What one host has on a mirror's shelf: its files by set, and the receipt of each set."""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache
from time import gmtime, strftime
from typing import Final, Literal, NamedTuple

from nightdrop.ledger import Drop
from nightdrop.names import FileName, SetKey
from nightdrop.receipts import Receipt, ReceiptFile, Source
from nightdrop.sets import lacking
from nightdrop.vault import StoredFile
from nightdrop_check.listings import Glance
from nightdrop_check.losses import Acknowledged, Loss

ReceiptState = Literal["usable", "absent", "wrong", "unreadable", "irregular"]
SignatureState = Literal["not asked for", "good", "absent", "bad", "unreadable"]

AHEAD: Final = 10 * 60
"""Seconds by which a clock may be ahead without anybody being told."""

DELAY: Final = 24 * 3600
"""Seconds in which the first file of a set is here, whatever delays it, but for a slow line."""

_encode: Final = json.JSONEncoder(separators=(",", ":")).encode

_SLOW: Final = 100_000
"""Octets a second of a line that is slow, and no wonder."""


def is_ahead(key: SetKey, moment: float) -> bool:
    """Whether the time in a set's name is later than this one (epoch seconds)."""
    # By days first, because looks ask this of all sets, and nearly all came the same day.
    return key.end[:8] >= _day(int((moment + AHEAD) // 86400)) and key.end > latest_name(moment)


def latest_name(moment: float) -> str:
    """The latest time, as names write it, that the name of what came then (epoch seconds) may tell."""
    return strftime("%Y%m%dT%H%M%SZ", gmtime(moment + AHEAD))


@lru_cache(maxsize=1024)
def _day(number: int) -> str:
    """A day as names begin with it, by its number since the epoch."""
    return strftime("%Y%m%d", gmtime(number * 86400))


class ReadReceipt(NamedTuple):
    """A receipt as it could be read, with the SHA-256 (hex) of what was read; and its signature."""

    receipt: Receipt | None
    state: ReceiptState
    problem: str = ""
    digest: str = ""
    signature: SignatureState = "not asked for"
    signature_problem: str = ""


class Told(NamedTuple):
    """What a receipt tells of its run: when that started and finished, by the client's own clock (RFC
    3339), and what was backed up.
    """

    started: str
    finished: str
    source: Source


class ShelfFile(NamedTuple):
    """A regular file of a set. `received` is the mirror's time of receipt, `changed` when the file system
    last changed it (epoch seconds); `drop` is what the ledger knows of it.
    """

    name: FileName
    size: int
    changed: float
    received: float
    drop: Drop | None


class ShelfSet(NamedTuple):
    """One set of a host. A tuple, because a look goes through hundreds of them a dozen times.

    `files` are the regular files with its names, the receipt among them. `receipt_state` says whether
    there is a receipt to go by: "wrong" is one whose content is none, "unreadable" one that could not
    be looked at, "irregular" one that is a link, a pipe or a folder; `receipt_problem` says more,
    `receipt_sha256` what it is, in hex. `receipt_digests` are those by which a later receipt may name
    this one as its `previous`.
    `told` is what rules want to know of a usable receipt, as text (`receipt`), "" where there is none;
    `previous` the digest of the receipt before, by which it goes on.
    `absent` are files that the receipt names and that are not there; `stated` is what it says of each
    that it names. `signature` is how it is with the signature of a usable receipt, of a host that signs;
    `signature_problem` says more.

    `stem` is the set's name, `size` the octets of all its files, `largest` those of the largest;
    `oldest_file` and `newest_file` are when the first and the last of them came, `received` is when the
    set did: when its receipt came, or else the last of its files. The ledger knows when each file of one
    that is `booked` came, and the first file of one that `came_late` came later than the time in its name
    allows.

    A set that is settled was found whole by an earlier look, and nothing of it has changed: it comes
    without `files` and `stated`. `settled` tells what its files look like in the listing, `sealed_to` are
    fingerprints of the recipients that can open every file of it.
    """

    key: SetKey
    stem: str
    files: Mapping[str, ShelfFile]
    told: str
    previous: str
    receipt_state: ReceiptState
    receipt_problem: str
    receipt_sha256: str
    receipt_digests: Collection[str]
    absent: tuple[ReceiptFile, ...]
    stated: Mapping[str, ReceiptFile]
    signature: SignatureState
    signature_problem: str
    size: int
    largest: int
    oldest_file: float
    newest_file: float
    received: float
    booked: bool
    came_late: bool
    settled: str = ""
    sealed_to: tuple[str, ...] = ()

    @property
    def receipt(self) -> Told | None:
        """What its receipt tells, if there is a usable one."""
        return _read_told(self.told) if self.told else None

    @property
    def delay(self) -> float:
        """Seconds that may lie between its beginning and when its first file was here."""
        return _delay(self.largest)

    @property
    def receipt_was_here(self) -> bool:
        """Whether the ledger saw a receipt that is not there now."""
        return self.receipt_state == "absent" and bool(self.receipt_digests)

    def unnamed(self) -> list[str]:
        """Files with the set's names that its receipt, being there, does not name."""
        if not self.told:
            return []
        parts = ("receipt", "receipt-signature")
        return [n for n, f in self.files.items() if f.name.part not in parts and n not in self.stated]


def shelf_set(
    key: SetKey,
    files: dict[str, ShelfFile],
    read: ReadReceipt,
    receipt_digests: frozenset[str],
    absent: tuple[ReceiptFile, ...],
) -> ShelfSet:
    """A set of these files, and of a receipt as it could be read."""
    times = [file.received for file in files.values()]
    sizes = [file.size for file in files.values()]
    oldest, newest = min(times, default=0.0), max(times, default=0.0)
    largest = max(sizes, default=0)
    receipt = files.get(key.receipt_name)
    return ShelfSet(
        key=key,
        stem=key.stem,
        files=files,
        told=_write_told(read.receipt) if read.receipt else "",
        previous=read.receipt.previous if read.receipt else "",
        receipt_state=read.state,
        receipt_problem=read.problem,
        receipt_sha256=read.digest,
        receipt_digests=receipt_digests,
        absent=absent,
        stated={file.name: file for file in read.receipt.files} if read.receipt else {},
        signature=read.signature,
        signature_problem=read.signature_problem,
        size=sum(sizes),
        largest=largest,
        oldest_file=oldest,
        newest_file=newest,
        received=receipt.received if receipt else newest,
        booked=None not in [file.drop for file in files.values()],
        came_late=key.end < latest_name(max(0.0, oldest - _delay(largest) - AHEAD)),
    )


def _delay(largest: int) -> float:
    return DELAY + largest / _SLOW


def _write_told(receipt: Receipt) -> str:
    return _encode((receipt.started, receipt.finished, receipt.source))


def _read_told(text: str) -> Told:
    started, finished, (what, size, files, unread, failed) = json.loads(text)
    return Told(started, finished, Source(tuple(what), size, files, unread, tuple(failed)))


@dataclass(frozen=True)
class Shelf:
    """All of one host. `sets` stand in the order of their own times; `strange` are entries whose name
    the pattern does not know, `irregular` those that are no regular files; `gone` are sets whose receipt
    came here once and of which nothing is left, though nobody pruned them, with the ledger's record of
    that receipt; `acknowledged` those of them of which somebody is known to know; `pruned` are the
    digests (SHA-256, hex) of receipts that were removed to make room. `listing` is all that lies there,
    `calm` the names in it that are of settled sets, `glance` by what that was seen, None where it took
    more.
    """

    host: str
    there: bool
    sets: tuple[ShelfSet, ...]
    strange: tuple[StoredFile, ...]
    irregular: tuple[StoredFile, ...]
    gone: tuple[tuple[SetKey, Drop], ...]
    uses_receipts: bool
    files: int
    size: int
    acknowledged: Mapping[SetKey, Loss] = field(default_factory=dict)
    pruned: frozenset[str] = frozenset()
    listing: Sequence[StoredFile] = ()
    calm: frozenset[str] = frozenset()
    glance: Glance | None = None

    def acknowledging(self, known: Acknowledged) -> "Shelf":
        """The same, with what was acknowledged of this host."""
        found = {
            key: loss
            for key, drop in self.gone
            if (loss := known.get((key.stem, drop.sha256))) is not None
        }
        return replace(self, acknowledged=found) if found else self

    @cached_property
    def loose(self) -> list[ShelfSet]:
        """The sets that are not settled: whatever there is to say of a set's files is of one of these."""
        return [each for each in self.sets if not each.settled]

    @cached_property
    def done(self) -> list[ShelfSet]:
        """The sets that were finished: with a usable receipt; or, of a host that never sent a receipt
        (stock duplicity, scripts), whole as far as names can tell.
        """
        if self.uses_receipts:
            return [each for each in self.sets if each.told]
        return [each for each in self.sets if each.settled or not lacking(each.key, each.files)]

    @cached_property
    def done_by_kind(self) -> dict[str, list[ShelfSet]]:
        """The same, by kind: a hostile host may have a hundred thousand of either."""
        found: dict[str, list[ShelfSet]] = {}
        for each in self.done:
            found.setdefault(each.key.kind, []).append(each)
        return found

    @cached_property
    def ends(self) -> frozenset[tuple[str, str]]:
        """Kind and time of every set of which something is there."""
        return frozenset((each.key.kind, each.key.end) for each in self.sets)

    @cached_property
    def first(self) -> dict[str, str]:
        """The time of the oldest set of each kind, of which something is there."""
        return {each.key.kind: each.key.end for each in reversed(self.sets)}
