"""What a mirror holds, in a form small enough to be compared with another's: every set of the last two
months by its receipt's digest, and of older months the digest of all their sets.

It comes from another mirror, which may be in anybody's hands: nothing in it is taken on trust.
"""

import hashlib
import json
import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple

from nightdrop.errors import ReceiptError
from nightdrop.names import is_host_name, parse_name

FORMAT: Final = "nightdrop-inventory/1"
LONGEST: Final = 32 * 1024 * 1024
"""Octets of another mirror's inventory that are read: room for thousands of hosts."""

_MOST_VALUES: Final = 2_000_000
_MONTH: Final = re.compile(r"\d{4}-\d{2}", re.ASCII)
_DIGEST: Final = re.compile(r"[0-9a-f]{0,32}", re.ASCII)


class HeldSet(NamedTuple):
    """A finished set: the beginning of its receipt's SHA-256 (hex, "" without a receipt), and when it
    came (epoch seconds).
    """

    digest: str
    received: float


class Holding(NamedTuple):
    """What there is of a host: the digest of each older month, and the sets of later ones by name."""

    months: dict[str, str]
    sets: dict[str, HeldSet]


class Inventory(NamedTuple):
    """What a mirror held at a time (epoch seconds), by host."""

    at: float
    hosts: dict[str, Holding]


def hold(sets: Iterable[tuple[str, str, str, float]], now: float) -> Holding:
    """What is held of a host, of all its finished sets: end (as names write it), name, SHA-256 of the
    receipt, when it came.
    """
    this = datetime.fromtimestamp(now, UTC).replace(day=1)
    recent = (this - timedelta(days=1)).strftime("%Y%m")
    older: dict[str, list[str]] = {}
    held = {}
    for end, stem, sha256, received in sets:
        if end[:6] >= recent:
            held[stem] = HeldSet(sha256[:32], received)
        else:
            older.setdefault(end[:6], []).append(f"{stem} {sha256[:32]}\n")
    months = {f"{month[:4]}-{month[4:]}": _digest(lines) for month, lines in older.items()}
    return Holding(months, held)


def digest_of(sets: dict[str, HeldSet]) -> str:
    """What is the same for the same sets."""
    return _digest([f"{stem} {one.digest}\n" for stem, one in sets.items()])


def _digest(lines: list[str]) -> str:
    return hashlib.sha256("".join(sorted(lines)).encode()).hexdigest()[:32]


def month_of(stem: str) -> str:
    """The month that a set's name tells, such as 2026-03."""
    end = stem[-16:]
    return f"{end[:4]}-{end[4:6]}"


def write_inventory(inventory: Inventory) -> bytes:
    """An inventory as JSON."""
    hosts = {host: {"months": each.months, "sets": each.sets} for host, each in inventory.hosts.items()}
    fields = {"format": FORMAT, "at": inventory.at, "hosts": hosts}
    return json.dumps(fields, separators=(",", ":")).encode()


def read_inventory(octets: bytes) -> Inventory:
    """Another mirror's inventory; ReceiptError if it is none."""
    if len(octets) > LONGEST or sum(octets.count(mark) for mark in (b",", b"[", b"{")) > _MOST_VALUES:
        raise ReceiptError("it is too long")
    try:
        fields = json.loads(octets)
        if fields["format"] != FORMAT:
            raise ReceiptError(f"its format is not {FORMAT}")
        hosts = {_host(name): _holding(each) for name, each in fields["hosts"].items()}
        return Inventory(_number(fields["at"]), hosts)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise ReceiptError("it is no inventory") from error


def _host(name: str) -> str:
    if not is_host_name(name):
        raise ValueError
    return name


def _holding(fields: dict[str, Any]) -> Holding:
    months = {
        _match(_MONTH, month): _match(_DIGEST, digest) for month, digest in fields["months"].items()
    }
    sets = {}
    for stem, (digest, received) in fields["sets"].items():
        parsed = parse_name(f"{stem}.receipt.json")
        if parsed is None or parsed.set.stem != stem:
            raise ValueError
        sets[stem] = HeldSet(_match(_DIGEST, digest), _number(received))
    return Holding(months, sets)


def _match(pattern: re.Pattern[str], text: str) -> str:
    if not pattern.fullmatch(text):
        raise ValueError
    return text


def _number(value: object) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value < 1e12:
        raise ValueError
    return float(value)
