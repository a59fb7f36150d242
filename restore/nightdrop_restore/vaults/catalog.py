"""What the names in a vault tell of a host: which sets there are, and which of them can be restored.

No file is read for that. A host may have years of sets, and one in an attacker's hands any number of
receipts of any length: those are read of the sets that are chosen alone, one after the other.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from nightdrop.errors import NightdropError, UsageError
from nightdrop.names import SetKey, format_time, parse_name, parse_time
from nightdrop.sets import chain_up_to, chained
from nightdrop.text import count, format_duration, harmless, parse_duration
from nightdrop_restore.vaults.copies import Place, Stored

NEWEST: Final = "99991231T235959Z"
"""A moment, as names write it, that no set is later than."""


@dataclass(frozen=True, slots=True)
class StoredSet:
    """One set in one or several vaults: where each of its files is, by name."""

    key: SetKey
    stored: Stored

    @property
    def size(self) -> int:
        """Octets of all its files."""
        return sum(copies[0][1] for copies in self.stored.values())

    @property
    def restorable(self) -> bool:
        """Whether it can be restored at all: without the manifest, nothing tells what is in it."""
        return self.key.kind == "duplicity" and self.key.manifest_name in self.stored

    @property
    def unfinished(self) -> bool:
        """Whether its run ended, or is, before its last files: such a set was never there to restore."""
        return self.key.manifest_name not in self.stored and self.key.receipt_name not in self.stored

    @property
    def hindrance(self) -> str:
        """Why it is in no chain that can be restored, in words."""
        return "a set before it is not there" if self.restorable else f"it lacks {self.key.manifest_name}"


def hosts_of(places: Sequence[Place], wanted: Sequence[str] | None = None) -> list[str]:
    """The hosts in these vaults, sorted, or those that are wanted; UsageError if one is in none."""
    there = {host for place in places for host in place.vault.hosts()}
    for host in wanted or ():
        if host not in there:
            known = ", ".join(map(harmless, sorted(there))) or "none"
            raise UsageError(f"the vault has no host {harmless(host)}", f"there are: {known}")
    return list(wanted) if wanted else sorted(there)


def catalogue(places: Sequence[Place], host: str) -> list[StoredSet]:
    """The sets of a host in these vaults together, oldest first."""
    by_set: dict[SetKey, dict[str, tuple[tuple[Place, int], ...]]] = {}
    for place in places:
        for file in place.vault.list(host) if host in place.vault.hosts() else []:
            parsed = parse_name(file.name)
            if parsed is not None and file.regular:
                copies = by_set.setdefault(parsed.set, {})
                copies[file.name] = (*copies.get(file.name, ()), (place, file.size))
    found = [StoredSet(key, files) for key, files in by_set.items()]
    return sorted(found, key=lambda one: (one.key.end, one.key))


def chain_at(sets: list[StoredSet], moment: str) -> list[StoredSet]:
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


def passed_over(sets: list[StoredSet], chain: list[StoredSet], moment: str) -> list[StoredSet]:
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
