"""Deciding whether a run makes a full or an incremental, and saying why."""

from dataclasses import dataclass

from nightdrop.names import SetKey, SetType, parse_time
from nightdrop.sets import chain_up_to
from nightdrop.text import format_duration
from nightdrop_client.droplog import DropLog


@dataclass(frozen=True)
class Plan:
    """What kind of set to make, and the reason, for people."""

    type: SetType
    reason: str


def plan(log: DropLog, mirrors: list[str], full_every: int, now: float, full_wanted: bool) -> Plan:
    """Choose. `mirrors` are the names of this host's mirrors, `full_every` is in seconds.

    An incremental is worth something only on top of a chain that somebody can restore: whole in the
    local metadata, and whole on at least one mirror.
    """
    if full_wanted:
        return Plan("full", "asked for")
    keys = [done.key for done in log.sets()]
    chain = chain_up_to(keys[-1], keys) if keys else []
    if not chain:
        return Plan("full", "there is none to build on")
    age = now - parse_time(chain[0].end).timestamp()
    if age >= full_every:
        return Plan("full", f"the last one is {format_duration(age)} old")
    if not any(all(_is_whole(log, key, mirror) for key in chain) for mirror in mirrors):
        return Plan("full", "no single mirror has all of the last one and what was built on it")
    return Plan("inc", f"on top of {chain[-1].stem}")


def _is_whole(log: DropLog, key: SetKey, mirror: str) -> bool:
    return log.files(key).keys() == log.files(key, mirror).keys()
