"""What one host has on a mirror's shelf: its files by set, and the receipt of each set.

Everything but the receipts is names, sizes and times; no other file is opened here. What the host
wrote is not believed: receipts are read up to a limit and parsed with suspicion, and names that cannot
exist, links, pipes and folders are set apart.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Literal, NamedTuple

from nightdrop.errors import ReceiptError, VaultError
from nightdrop.ledger import Drop
from nightdrop.names import FileName, SetKey, parse_name
from nightdrop.receipts import MAX_SIZE, Receipt, ReceiptFile, digest, parse_receipt
from nightdrop.sets import lacking
from nightdrop.vault import StoredFile, Vault

ReceiptState = Literal["usable", "absent", "wrong", "unreadable", "irregular"]


@dataclass(frozen=True)
class ShelfFile:
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
    `absent` are files that the receipt names and that are not there.
    """

    key: SetKey
    files: dict[str, ShelfFile]
    receipt: Receipt | None
    receipt_state: ReceiptState
    receipt_problem: str
    receipt_sha256: str
    receipt_digests: frozenset[str]
    absent: tuple[ReceiptFile, ...]

    @property
    def stem(self) -> str:
        """The set's name."""
        return self.key.stem

    @property
    def size(self) -> int:
        """Octets of all its files."""
        return sum(file.size for file in self.files.values())

    @property
    def newest_file(self) -> float:
        """When the last of its files came."""
        return max((file.received for file in self.files.values()), default=0.0)

    @property
    def received(self) -> float:
        """When the set came: when its receipt did, or else the last of its files."""
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
        if self.receipt is None:
            return []
        parts = ("receipt", "receipt-signature")
        return [n for n, f in self.files.items() if f.name.part not in parts and n not in self.stated]


class _Read(NamedTuple):
    """A receipt as it could be read."""

    receipt: Receipt | None
    state: ReceiptState
    problem: str = ""
    digest: str = ""


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
        return [each for each in self.sets if not lacking(each.key, each.files)]

    @cached_property
    def ends(self) -> frozenset[tuple[str, str]]:
        """Kind and time of every set of which something is there."""
        return frozenset((each.key.kind, each.key.end) for each in self.sets)

    @cached_property
    def first(self) -> dict[str, str]:
        """The time of the oldest set of each kind, of which something is there."""
        return {each.key.kind: each.key.end for each in reversed(self.sets)}


def look_at_host(vault: Vault, host: str, drops: dict[str, Drop], there: bool = True) -> Shelf:
    """See what the vault has of `host`; `drops` is what the ledger knew before this look.

    Before, because a file that arrives in between is then merely not in `drops`, instead of seeming to
    be gone. Raises VaultError if the host's folder cannot be listed.
    """
    entries = vault.list(host) if there else []
    by_set: dict[SetKey, dict[str, ShelfFile]] = {}
    strange, irregular = [], []
    for entry in entries:
        parsed = parse_name(entry.name)
        if parsed is None:
            strange.append(entry)
        elif not entry.regular:
            irregular.append(entry)
        else:
            drop = drops.get(entry.name)
            received = drop.received if drop else entry.changed
            file = ShelfFile(parsed, entry.size, entry.changed, received, drop)
            by_set.setdefault(parsed.set, {})[entry.name] = file
    receipts_dropped = {
        parsed.set: drop
        for name, drop in drops.items()
        if (parsed := parse_name(name)) is not None and parsed.part == "receipt"
    }
    not_regular = frozenset(entry.name for entry in irregular)
    sets = [
        _set(vault, host, key, files, dropped=receipts_dropped.get(key), irregular=not_regular)
        for key, files in by_set.items()
    ]
    sets.sort(key=lambda each: (each.key.end, each.key))
    return Shelf(
        host=host,
        there=there,
        sets=tuple(sets),
        strange=tuple(strange),
        irregular=tuple(irregular),
        gone=tuple((k, drop) for k, drop in sorted(receipts_dropped.items()) if k not in by_set),
        uses_receipts=bool(receipts_dropped) or any(s.receipt_state != "absent" for s in sets),
        files=sum(entry.regular for entry in entries),
        size=sum(entry.size for entry in entries if entry.regular),
    )


def _set(
    vault: Vault,
    host: str,
    key: SetKey,
    files: dict[str, ShelfFile],
    *,
    dropped: Drop | None,
    irregular: frozenset[str],
) -> ShelfSet:
    read = _receipt(vault, host, key, files, irregular)
    digests = {read.digest, dropped.sha256 if dropped else ""} - {""}
    # A name that a link or a pipe took is told as such, not as a file that is missing. And a set may
    # arrive while we look: what the listing did not have yet, a second look may find.
    absent = tuple(
        file
        for file in (read.receipt.files if read.receipt else ())
        if file.name not in files and file.name not in irregular and vault.stat(host, file.name) is None
    )
    return ShelfSet(
        key, files, read.receipt, read.state, read.problem, read.digest, frozenset(digests), absent
    )


def _receipt(
    vault: Vault, host: str, key: SetKey, files: dict[str, ShelfFile], irregular: frozenset[str]
) -> _Read:
    if key.receipt_name in irregular:
        return _Read(None, "irregular")
    if key.receipt_name not in files:
        return _Read(None, "absent")
    try:
        with vault.open(host, key.receipt_name) as file:
            octets = file.read(MAX_SIZE + 1)
    except (VaultError, OSError) as error:
        return _Read(None, "unreadable", str(error))
    try:
        return _Read(parse_receipt(octets, key, host), "usable", digest=digest(octets))
    except ReceiptError as error:
        return _Read(None, "wrong", error.message, digest(octets))
