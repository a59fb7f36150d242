"""Looking at what one host has on the shelf.

Everything but the receipts is names, sizes and times; no other file is opened here. Names that cannot
exist, links, pipes and folders are set apart, and a folder that is filled beyond all measure is not
looked into, so that other hosts are judged all the same.
"""

from collections.abc import Collection, Mapping
from typing import NamedTuple

from nightdrop.enrolment import EnrolledHost
from nightdrop.ledger import Drop, Ledger
from nightdrop.names import SetKey, parse_name
from nightdrop.vault import MOST_FILES, FolderVault, StoredFile
from nightdrop_check.listings import Glance, beside_settled, digest
from nightdrop_check.receipts import Receipts
from nightdrop_check.settled import Remembered
from nightdrop_check.shelf import ReadReceipt, Shelf, ShelfFile, ShelfSet, shelf_set


class Book:
    """What the ledger tells of one host, of which something is `known`; read as far as it has to be.

    It is asked before the vault is: a file that arrives in between is then merely not in the ledger,
    instead of seeming to be gone.
    """

    def __init__(self, ledger: Ledger | None, host: str, known: Remembered) -> None:
        self._ledger = ledger
        self._host = host
        self.known = known
        self.lately = ledger.drops(host, after=known.until) if ledger else {}
        self.unchanged = bool(known.sets) and self.digest(known.until) == known.ledger

    def digest(self, until: float) -> str:
        """What stays the same while what the ledger knew until then does; "" without a ledger."""
        return self._ledger.digest(self._host, until) if self._ledger else ""

    def pruned(self) -> frozenset[str]:
        """The SHA-256 (hex) of receipts that were removed to make room."""
        return self._ledger.pruned(self._host) if self._ledger else frozenset()

    def drops(self) -> dict[str, Drop]:
        """All that is known of the host's files, by name."""
        if self._ledger is None or not self.known.until:
            return self.lately
        return self._ledger.drops(self._host, until=self.known.until) | self.lately


def look_at_host(
    vault: FolderVault, enrolled: EnrolledHost, book: Book, suspects: frozenset[str], there: bool = True
) -> Shelf:
    """See what the vault has of a host. `suspects` are files in which the scrub found something. Raises
    VaultError if the host's folder cannot be listed.
    """
    host = enrolled.name
    entries = vault.list(host, MOST_FILES) if there else []
    settled, rest, glance = _still_settled(entries, book, suspects)
    drops, known = book.lately, book.known
    if known.beyond or len(settled) < len(known.sets) or any(e.name not in drops for e in rest):
        drops = book.drops()
    found = _sets(vault, enrolled, rest, drops)
    pruned = book.pruned()
    sets = {**settled, **found.sets}
    loose = {entry.name for entry in rest}
    regular = [entry.size for entry in entries if entry.regular]
    return Shelf(
        host=host,
        there=there,
        sets=tuple(sorted(sets.values(), key=lambda each: (each.key.end, each.key))),
        strange=found.strange,
        irregular=found.irregular,
        gone=tuple(
            (key, drop)
            for key, drop in sorted(found.dropped.items())
            if key not in sets and drop.sha256 not in pruned
        ),
        pruned=pruned,
        uses_receipts=bool(found.dropped)
        or any(each.receipt_state != "absent" for each in sets.values()),
        files=len(regular),
        size=sum(regular),
        listing=entries,
        calm=frozenset([entry.name for entry in entries if entry.name not in loose]),
        glance=glance,
    )


class _Still(NamedTuple):
    """The settled sets whose files are what they were, and no more, and of which nothing else is new;
    what lies there beside them; and the glance that told so, None where it took more.
    """

    sets: Mapping[SetKey, ShelfSet]
    rest: list[StoredFile]
    glance: Glance | None


def _still_settled(entries: list[StoredFile], book: Book, suspects: frozenset[str]) -> _Still:
    held, glance = book.known.sets, book.known.glance
    if not book.unchanged:
        return _Still({}, entries, None)
    marks = [each.settled for each in held.values()]
    if (rest := beside_settled(entries, glance, marks)) is None:
        held = _unchanged(entries, held)
        rest = _beside(entries, held)
    news = {
        parsed.set
        for name in (*(entry.name for entry in rest), *book.lately, *suspects)
        if (parsed := parse_name(name)) is not None
    }
    if held.keys() & news:
        held = {key: each for key, each in held.items() if key not in news}
        rest = _beside(entries, held)
    return _Still(held, rest, glance if held is book.known.sets else None)


def _unchanged(entries: list[StoredFile], held: Mapping[SetKey, ShelfSet]) -> Mapping[SetKey, ShelfSet]:
    """Those of the sets whose files look as they did."""
    there: dict[SetKey, list[StoredFile]] = {}
    for entry in entries:
        if entry.regular and (parsed := parse_name(entry.name)) is not None:
            there.setdefault(parsed.set, []).append(entry)
    return {
        key: held[key]
        for key, files in there.items()
        if key in held and digest(files) == held[key].settled
    }


def _beside(entries: list[StoredFile], held: Collection[SetKey]) -> list[StoredFile]:
    """What is no file of these sets."""
    names = [(entry, parse_name(entry.name)) for entry in entries]
    return [e for e, parsed in names if not e.regular or parsed is None or parsed.set not in held]


class _Found(NamedTuple):
    """What lies there that is of no settled set; `dropped` are receipts that the ledger knows."""

    sets: dict[SetKey, ShelfSet]
    strange: tuple[StoredFile, ...]
    irregular: tuple[StoredFile, ...]
    dropped: dict[SetKey, Drop]


def _sets(
    vault: FolderVault, enrolled: EnrolledHost, entries: list[StoredFile], drops: dict[str, Drop]
) -> _Found:
    """Put entries in order, and read the receipts among them."""
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
    dropped = {
        parsed.set: drop
        for name, drop in drops.items()
        if name.endswith(".receipt.json") and (parsed := parse_name(name)) is not None
    }
    receipts = Receipts(vault, enrolled, frozenset(entry.name for entry in irregular))
    sets = {
        key: _set(receipts, key, files, read, dropped.get(key))
        for (key, files), read in zip(by_set.items(), receipts.read(by_set), strict=True)
    }
    return _Found(sets, tuple(strange), tuple(irregular), dropped)


def _set(
    receipts: Receipts,
    key: SetKey,
    files: dict[str, ShelfFile],
    read: ReadReceipt,
    dropped: Drop | None,
) -> ShelfSet:
    digests = {read.digest, dropped.sha256 if dropped else ""} - {""}
    # A name that a link or a pipe took is told as such, not as a file that is missing. And a set may
    # arrive while we look: what the listing did not have yet, a second look may find.
    absent = tuple(
        file
        for file in (read.receipt.files if read.receipt else ())
        if file.name not in files and not receipts.is_there(file.name)
    )
    return shelf_set(key, files, read, frozenset(digests), absent)
