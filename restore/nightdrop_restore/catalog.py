"""What a vault holds of a host, and what of it can be restored: without a key."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from nightdrop.errors import NightdropError, ReceiptError, UsageError
from nightdrop.names import FileName, SetKey, format_time, parse_name
from nightdrop.receipts import MAX_SIZE, Receipt, parse_receipt
from nightdrop.sets import chain_up_to, lacking
from nightdrop.text import count, format_duration, harmless, parse_duration
from nightdrop.vault import Vault

NEWEST: Final = "99991231T235959Z"
"""A moment, as names write it, that no set is later than."""


@dataclass(frozen=True)
class VaultSet:
    """One set in a vault: its files with their sizes in octets, its receipt if that can be read, and
    in words what it lacks, "" if it is whole.
    """

    key: SetKey
    files: dict[str, int]
    receipt: Receipt | None
    problem: str

    @property
    def size(self) -> int:
        """Octets of all its files."""
        return sum(self.files.values())

    @property
    def whole(self) -> bool:
        """Whether it can be restored, as far as can be told without reading it."""
        return not self.problem


def catalogue(vault: Vault, host: str) -> list[VaultSet]:
    """The sets of a host, oldest first; UsageError if the vault has no such host."""
    hosts = vault.hosts()
    if host not in hosts:
        known = ", ".join(map(harmless, hosts)) or "none"
        raise UsageError(f"the vault has no host {harmless(host)}", f"there are: {known}")
    by_set: dict[SetKey, dict[str, int]] = {}
    for file in vault.list(host):
        parsed = parse_name(file.name)
        if parsed is not None and file.regular:
            by_set.setdefault(parsed.set, {})[file.name] = file.size
    found = [_look(vault, host, key, files) for key, files in by_set.items()]
    return sorted(found, key=lambda one: (one.key.end, one.key))


def chain_at(sets: list[VaultSet], moment: str) -> list[VaultSet]:
    """The chain that restores the state at `moment` (as names write it): full first.

    The newest whole duplicity set up to then whose chain is whole; NightdropError if there is none.
    """
    whole = {one.key: one for one in sets if one.whole and one.key.kind == "duplicity"}
    for newest in sorted(whole, key=lambda key: key.end, reverse=True):
        if newest.end <= moment and (chain := chain_up_to(newest, whole)):
            return [whole[key] for key in chain]
    broken = [one for one in sets if not one.whole and one.key.end <= moment]
    raise NightdropError(
        ("there is no whole backup" + (f" from {moment} or before" if moment != NEWEST else ""))
        + (f" ({count(len(broken), 'set')} from then cannot be used)" if broken else ""),
        "`nightdrop restore list` shows what there is, and what each set lacks",
    )


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


def age(key: SetKey, now: datetime) -> str:
    """How old a set is, for people."""
    made = datetime.strptime(key.end, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    return format_duration(max(0.0, (now - made).total_seconds()))


def volumes(one: VaultSet) -> list[FileName]:
    """The volumes of a set, in order."""
    parsed = [name for text in one.files if (name := parse_name(text)) is not None]
    return sorted((n for n in parsed if n.volume is not None), key=lambda name: name.volume or 0)


def _look(vault: Vault, host: str, key: SetKey, files: dict[str, int]) -> VaultSet:
    receipt, problem = None, ""
    if key.receipt_name in files:
        try:
            with vault.open(host, key.receipt_name) as file:
                receipt = parse_receipt(file.read(MAX_SIZE + 1), key, host)
        except ReceiptError as error:
            problem = f"its receipt is none: {error.message}"
        else:
            problem = _against_receipt(receipt, files)
    elif missing := lacking(key, files):
        problem = f"it lacks {', '.join(missing)}"
    return VaultSet(key, files, receipt, problem)


def _against_receipt(receipt: Receipt, files: dict[str, int]) -> str:
    for file in receipt.files:
        if file.name not in files:
            return f"it lacks {file.name}"
        if files[file.name] != file.size:
            return f"{file.name} is not as long as its receipt says"
    return ""
