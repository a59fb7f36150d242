"""A set in a vault, by its receipt: whether it is whole, and what its files have to be."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from nightdrop.names import SetKey
from nightdrop.sets import lacking
from nightdrop_restore.vaults.catalog import StoredSet
from nightdrop_restore.vaults.trusting import Trusted, trusted_receipt

if TYPE_CHECKING:
    from cryptography.x509 import Certificate


@dataclass(frozen=True, slots=True)
class JudgedSet:
    """One set: its files with their sizes in octets, the SHA-256 (hex) of those that its receipt names,
    and in words what it lacks, "" if it is whole; the places of the sources that are not whole in it.
    Also in words, the receipts of other vaults that do not count; `doubtful`, if nothing tells which of
    them is the host's; and why none of its signers signed the one that does, "" if one did or none is
    known.

    Of its receipt no more is kept, because that may be of any length: nothing of files that are nowhere.
    """

    key: SetKey
    files: dict[str, int]
    digests: dict[str, str]
    problem: str
    failed_sources: tuple[str, ...] = ()
    passed_receipts: tuple[str, ...] = ()
    doubtful: bool = False
    unsigned: str = ""

    @property
    def size(self) -> int:
        """Octets of all its files."""
        return sum(self.files.values())

    @property
    def whole(self) -> bool:
        """Whether all of it can be restored, as far as can be told without reading it."""
        return not self.problem


def judged(host: str, one: StoredSet, signers: tuple["Certificate", ...] = ()) -> JudgedSet:
    """What the receipt of a set of `host` tells of it.

    Where vaults have different receipts, one that a signer signed counts.
    """
    files = {name: copies[0][1] for name, copies in one.stored.items()}
    trusted = trusted_receipt(host, one.key, one.stored, signers)
    receipt = trusted.receipt
    digests: dict[str, str] = {}
    for told in receipt.files if receipt is not None else ():
        if told.name in files:
            digests[told.name] = told.sha256
            if any(told.size == size for _place, size in one.stored[told.name]):
                files[told.name] = told.size
    return JudgedSet(
        one.key,
        files,
        digests,
        problem_of(one, trusted),
        receipt.source.failed if receipt is not None else (),
        trusted.passed,
        trusted.doubtful,
        trusted.unsigned,
    )


def judged_chain(
    host: str, chain: Sequence[StoredSet], signers: tuple["Certificate", ...] = ()
) -> list[JudgedSet]:
    """The same for each set of a chain. Which sources failed is kept of the last alone: no other's state
    is restored, and there may be many.
    """
    return [
        *(replace(judged(host, one, signers), failed_sources=()) for one in chain[:-1]),
        judged(host, chain[-1], signers),
    ]


def problem_of(one: StoredSet, trusted: Trusted) -> str:
    """What a set lacks, in words: by its receipt, or if there is none, as far as names tell."""
    if trusted.receipt is None and not trusted.problem and (missing := lacking(one.key, one.stored)):
        return f"it lacks {', '.join(missing)}"
    return trusted.problem
