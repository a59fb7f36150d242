"""Making room: the sets of a host that nobody needs who wants its states of the last so many days.

Of each kind the oldest go, up to a full that is whole and old enough: every state since then can still
be restored. How old a set is, two clocks have to agree on: the mirror's, by which it came, and the
host's, by which it is called. Neither a host that lies nor a mirror's clock that jumped makes young sets
old.
"""

import os
from collections.abc import Iterable
from contextlib import suppress
from typing import NamedTuple

from nightdrop.errors import ReceiptError, VaultError
from nightdrop.ledger import Drop, Ledger
from nightdrop.names import SetKey, parse_name, parse_time
from nightdrop.receipts import MAX_SIZE, parse_receipt
from nightdrop.sets import lacking
from nightdrop.text import harmless
from nightdrop.vault import MOST_FILES, FolderVault, StoredFile
from nightdrop_server.facts import received


class KeptSet(NamedTuple):
    """A set, finished or not: its files by name, and when the last of them came (epoch seconds)."""

    key: SetKey
    files: dict[str, StoredFile]
    received: float

    @property
    def size(self) -> int:
        """Octets of all its files."""
        return sum(file.size for file in self.files.values())

    @property
    def told(self) -> float:
        """The time in its name (epoch seconds)."""
        return parse_time(self.key.end).timestamp()


class Plan(NamedTuple):
    """What may go of a host, the oldest first; and of each kind the full with which what stays begins,
    None where none is whole and old enough, so that all of the kind stays.
    """

    host: str
    going: list[KeptSet]
    first: dict[str, SetKey | None]


def plan(vault: FolderVault, ledger: Ledger, host: str, keep: float, now: float) -> Plan:
    """What nobody needs who wants each state of the `keep` seconds before the host's newest one.
    VaultError if that cannot be told.
    """
    drops = ledger.drops(host)
    sets = _sets(vault.list(host, MOST_FILES), drops)
    came = min(now, max((each.received for each in sets), default=now)) - keep
    told = min(now, max((each.told for each in sets), default=now)) - keep
    by_kind: dict[str, list[KeptSet]] = {}
    for each in sorted(sets, key=lambda each: each.received, reverse=True):
        by_kind.setdefault(each.key.kind, []).append(each)
    uses_receipts = any(_is_receipt(name) for each in sets for name in each.files)
    going: list[KeptSet] = []
    first: dict[str, SetKey | None] = {}
    for kind, newest_first in sorted(by_kind.items()):
        begins = next(
            (
                each
                for each in newest_first
                if each.key.type == "full"
                and each.received <= came
                and each.told <= told
                and _is_whole(vault, host, each, drops, uses_receipts=uses_receipts)
            ),
            None,
        )
        first[kind] = begins.key if begins else None
        if begins:
            going += _not_needed(newest_first, begins)
    return Plan(host, sorted(going, key=lambda each: each.received), first)


def remove(vault: FolderVault, ledger: Ledger, host: str, each: KeptSet) -> None:
    """Take a set away, its receipt first: it came last, and never names what is not there. VaultError if
    that fails; what was taken away until then is gone, and the rest can be taken away later.
    """
    # Before that, because what is gone and was not pruned is told of.
    ledger.prune(host, each.key.receipt_name)
    try:
        with vault.folder(host) as folder:
            for name in sorted(each.files, key=_is_receipt, reverse=True):
                with suppress(FileNotFoundError):
                    os.unlink(name, dir_fd=folder)
            os.fsync(folder)
    except OSError as error:
        raise VaultError(
            f"cannot remove {each.key.stem} of {harmless(host)}: {error.strerror}",
            "`nightdrop prune` once more removes what is left of it",
        ) from error


def _sets(files: Iterable[StoredFile], drops: dict[str, Drop]) -> list[KeptSet]:
    found: dict[SetKey, dict[str, StoredFile]] = {}
    for file in files:
        if file.regular and (parsed := parse_name(file.name)) is not None:
            found.setdefault(parsed.set, {})[file.name] = file
    return [
        KeptSet(key, of_set, max(received(file, drops) for file in of_set.values()))
        for key, of_set in found.items()
    ]


def _not_needed(newest_first: list[KeptSet], begins: KeptSet) -> list[KeptSet]:
    """Those that came before the full `begins`. Where a host was put back to an older state, what it went
    on from is needed, too, and stays with all that came since.
    """
    by_end = {each.key.end: each for each in newest_first}
    ends = sorted(by_end)
    before = dict(zip(ends[1:], ends[:-1], strict=True))
    since = begins.received
    for each in newest_first:
        if each.received < since:
            break
        if each.key.type == "inc":
            # Only duplicity's names say what an incremental builds on: otherwise it is the set before.
            base = by_end.get(each.key.start or before.get(each.key.end, ""))
            since = min(since, base.received if base else since)
    return [each for each in newest_first if each.received < since]


def _is_whole(
    vault: FolderVault, host: str, each: KeptSet, drops: dict[str, Drop], *, uses_receipts: bool
) -> bool:
    """Whether all is there that its receipt names, as far as sizes and the ledger tell; or its name, of a
    host that sends no receipts.
    """
    if not uses_receipts:
        return not lacking(each.key, each.files)
    try:
        with vault.open(host, each.key.receipt_name) as file:
            receipt = parse_receipt(file.read(MAX_SIZE + 1), each.key, host)
    except (ReceiptError, VaultError, OSError):
        return False
    for said in receipt.files:
        there, drop = each.files.get(said.name), drops.get(said.name)
        if there is None or there.size != said.size or (drop and drop.sha256 != said.sha256):
            return False
    return not lacking(each.key, [said.name for said in receipt.files])


def _is_receipt(name: str) -> bool:
    return name.endswith(".receipt.json")
