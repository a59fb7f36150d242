"""What one host has on a mirror's shelf: its files by set, and the receipt of each set."""

from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import Final, Literal, NamedTuple

from nightdrop.ledger import Drop
from nightdrop.names import FileName, SetKey, format_time
from nightdrop.receipts import Receipt, ReceiptFile
from nightdrop.sets import lacking
from nightdrop.vault import StoredFile
from nightdrop_check.settled import Settled

ReceiptState = Literal["usable", "absent", "wrong", "unreadable", "irregular"]
SignatureState = Literal["not asked for", "good", "absent", "bad", "unreadable"]

AHEAD: Final = 10 * 60
"""Seconds by which a clock may be ahead without anybody being told."""


def is_ahead(key: SetKey, moment: float) -> bool:
    """Whether the time in a set's name is later than this one (epoch seconds)."""
    return key.end > format_time(datetime.fromtimestamp(moment + AHEAD, UTC))


class ShelfFile(NamedTuple):
    """A regular file of a set. `received` is the mirror's time of receipt, `changed` when the file system
    last changed it (epoch seconds); `drop` is what the ledger knows of it.
    """

    name: FileName
    size: int
    changed: float
    received: float
    drop: Drop | None


@dataclass(frozen=True)
class ShelfSet:
    """One set of a host.

    `files` are the regular files with its names, the receipt among them. `receipt_state` says whether
    there is a receipt to go by: "wrong" is one whose content is none, "unreadable" one that could not
    be looked at, "irregular" one that is a link, a pipe or a folder; `receipt_problem` says more,
    `receipt_sha256` what it is, in hex. `receipt_digests` are those by which a later receipt may name
    this one as its `previous`.
    `absent` are files that the receipt names and that are not there. `signature` is how it is with the
    signature of a usable receipt, of a host that signs; `signature_problem` says more.

    A set that is `settled` was found whole by an earlier look, and nothing of it has changed: it comes
    without `files`, and its receipt without those that it names.
    """

    key: SetKey
    files: dict[str, ShelfFile]
    receipt: Receipt | None
    receipt_state: ReceiptState
    receipt_problem: str
    receipt_sha256: str
    receipt_digests: frozenset[str]
    absent: tuple[ReceiptFile, ...]
    settled: Settled | None = None
    signature: SignatureState = "not asked for"
    signature_problem: str = ""

    @property
    def stem(self) -> str:
        """The set's name."""
        return self.key.stem

    @property
    def size(self) -> int:
        """Octets of all its files."""
        if self.settled:
            return self.settled.size
        return sum(file.size for file in self.files.values())

    @property
    def newest_file(self) -> float:
        """When the last of its files came."""
        if self.settled:
            return self.settled.newest
        return max((file.received for file in self.files.values()), default=0.0)

    @property
    def oldest_file(self) -> float:
        """When the first of its files came."""
        if self.settled:
            return self.settled.oldest
        return min((file.received for file in self.files.values()), default=0.0)

    @property
    def received(self) -> float:
        """When the set came: when its receipt did, or else the last of its files."""
        if self.settled:
            return self.settled.received
        receipt = self.files.get(self.key.receipt_name)
        return receipt.received if receipt else self.newest_file

    @property
    def receipt_was_here(self) -> bool:
        """Whether the ledger saw a receipt that is not there now."""
        return self.receipt_state == "absent" and bool(self.receipt_digests)

    @cached_property
    def stated(self) -> dict[str, ReceiptFile]:
        """What the receipt says of each file it names."""
        return {file.name: file for file in (self.receipt.files if self.receipt else ())}

    def unnamed(self) -> list[str]:
        """Files with the set's names that its receipt, being there, does not name."""
        if self.receipt is None or self.settled:
            return []
        parts = ("receipt", "receipt-signature")
        return [n for n, f in self.files.items() if f.name.part not in parts and n not in self.stated]


@dataclass(frozen=True)
class Shelf:
    """All of one host. `sets` stand in the order of their own times; `strange` are entries whose name
    the pattern does not know, `irregular` those that are no regular files; `gone` are sets whose receipt
    came here once and of which nothing is left, with the ledger's record of that receipt.
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

    @cached_property
    def done(self) -> list[ShelfSet]:
        """The sets that were finished: with a usable receipt; or, of a host that never sent a receipt
        (stock duplicity, scripts), whole as far as names can tell.
        """
        if self.uses_receipts:
            return [each for each in self.sets if each.receipt is not None]
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
