"""What a vault holds of a host, and what of it can be restored: without a key."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from nightdrop.errors import NightdropError, UsageError
from nightdrop.names import FileName, SetKey, format_time, parse_name, parse_time
from nightdrop.receipts import Receipt
from nightdrop.sets import chain_up_to, chained, lacking
from nightdrop.text import count, format_duration, harmless, parse_duration
from nightdrop_restore.copies import Place
from nightdrop_restore.trusting import trusted_receipt

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

NEWEST: Final = "99991231T235959Z"
"""A moment, as names write it, that no set is later than."""


@dataclass(frozen=True)
class VaultSet:
    """One set in a vault: its files with their sizes in octets, its receipt if that can be read, and
    in words what it lacks, "" if it is whole. Also in words, the receipts of other vaults that do not
    count; `doubtful`, if nothing tells which of them is the host's; and why none of its signers signed
    the one that does, "" if one did or none is known.
    """

    key: SetKey
    files: dict[str, int]
    receipt: Receipt | None
    problem: str
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

    @property
    def failed_sources(self) -> tuple[str, ...]:
        """The places of the sources that, by its receipt, are not whole in it."""
        return self.receipt.source.failed if self.receipt else ()

    @property
    def restorable(self) -> bool:
        """Whether it can be restored at all: without the manifest, nothing tells what is in it."""
        return self.key.kind == "duplicity" and self.key.manifest_name in self.files

    @property
    def unfinished(self) -> bool:
        """Whether its run ended, or is, before its last files: such a set was never there to restore."""
        return self.key.manifest_name not in self.files and self.key.receipt_name not in self.files


def catalogue(
    places: Sequence[Place], host: str, signers: tuple["Certificate", ...] = ()
) -> list[VaultSet]:
    """The sets of a host in these vaults together, oldest first; UsageError if none has such a host.

    Where vaults have different receipts, one that a signer signed counts.
    """
    hosts = sorted({known for place in places for known in place.vault.hosts()})
    if host not in hosts:
        known = ", ".join(map(harmless, hosts)) or "none"
        raise UsageError(f"the vault has no host {harmless(host)}", f"there are: {known}")
    by_set: dict[SetKey, dict[str, list[tuple[Place, int]]]] = {}
    for place in places:
        for file in place.vault.list(host) if host in place.vault.hosts() else []:
            parsed = parse_name(file.name)
            if parsed is not None and file.regular:
                copies = by_set.setdefault(parsed.set, {}).setdefault(file.name, [])
                copies.append((place, file.size))
    found = [_look(host, key, files, signers) for key, files in by_set.items()]
    return sorted(found, key=lambda one: (one.key.end, one.key))


def chain_at(sets: list[VaultSet], moment: str) -> list[VaultSet]:
    """The chain that restores the state at `moment` (as names write it): full first.

    The newest duplicity set up to then that can be restored with its chain, even if some of its volumes
    are missing: that costs the files in them. NightdropError if there is none.
    """
    restorable = {one.key: one for one in sets if one.restorable}
    usable = chained(restorable)
    if until := [key for key in usable if key.end <= moment]:
        newest = max(until, key=lambda key: key.end)
        return [restorable[key] for key in chain_up_to(newest, usable)]
    broken = [one for one in sets if one.key.kind == "duplicity" and one.key.end <= moment]
    raise NightdropError(
        (
            "there is no backup that can be restored"
            + (f" from {moment} or before" if moment != NEWEST else "")
        )
        + (f" ({count(len(broken), 'set')} from then cannot be used)" if broken else ""),
        "`nightdrop restore list` shows what there is, and what each set lacks",
    )


def passed_over(sets: list[VaultSet], chain: list[VaultSet], moment: str) -> list[VaultSet]:
    """The duplicity sets that are newer than what the chain restores, and would have been wanted."""
    last = chain[-1].key.end
    return [one for one in sets if one.key.kind == "duplicity" and last < one.key.end <= moment]


def parse_moment(text: str, now: datetime) -> str:
    """A time as a user writes it, as names write it: `now`, an age (`3D`, `12h`), or ISO 8601.

    `now` is the newest there is: a host's clock may have been ahead of ours. A time without an offset
    is taken as UTC, as names are.
    """
    if text == "now":
        return NEWEST
    try:
        return format_time(now - timedelta(seconds=parse_duration(text)))
    except (ValueError, OverflowError):
        pass
    try:
        moment = datetime.fromisoformat(text)
        if len(text) == len("2026-01-31"):
            moment += timedelta(days=1, seconds=-1)
        return format_time(moment if moment.tzinfo else moment.replace(tzinfo=UTC))
    except (ValueError, OverflowError) as error:
        raise UsageError(
            f"{text!r} is not a time", "write now, an age such as 3D or 12h, or 2026-01-31T18:00"
        ) from error


def is_from_the_future(key: SetKey, now: datetime) -> bool:
    """Whether the time in a set's name is yet to come, by more than clocks may differ."""
    return parse_time(key.end) - now > timedelta(days=1)


def age(key: SetKey, now: datetime) -> str:
    """How old a set is, for people."""
    if is_from_the_future(key, now):
        return "from the future"
    return f"{format_duration(max(0.0, (now - parse_time(key.end)).total_seconds()))} ago"


def volumes(one: VaultSet) -> list[FileName]:
    """The volumes of a set, in order."""
    parsed = [name for text in one.files if (name := parse_name(text)) is not None]
    return sorted((n for n in parsed if n.volume is not None), key=lambda name: name.volume or 0)


def _look(
    host: str, key: SetKey, copies: dict[str, list[tuple[Place, int]]], signers: tuple["Certificate", ...]
) -> VaultSet:
    files = {name: stored[0][1] for name, stored in copies.items()}
    trusted = trusted_receipt(host, key, copies, signers)
    problem = trusted.problem
    if trusted.receipt is not None:
        for told in trusted.receipt.files:
            if any(told.size == size for _place, size in copies.get(told.name, [])):
                files[told.name] = told.size
    elif not problem and (missing := lacking(key, files)):
        problem = f"it lacks {', '.join(missing)}"
    return VaultSet(
        key, files, trusted.receipt, problem, trusted.passed, trusted.doubtful, trusted.unsigned
    )
