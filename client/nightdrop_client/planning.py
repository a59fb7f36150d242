"""Deciding whether a run makes a full or an incremental, and saying why."""

from dataclasses import dataclass

from nightdrop.names import SetKey, SetType, parse_time
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
    chain = newest_chain([done.key for done in log.sets()])
    if not chain:
        return Plan("full", "there is none yet to build on")
    age = now - parse_time(chain[0].end).timestamp()
    if age >= full_every:
        return Plan("full", f"the last one is {format_duration(age)} old")
    if not any(all(_is_whole(log, key, mirror) for key in chain) for mirror in mirrors):
        return Plan("full", "no single mirror has all of the last one and what was built on it")
    return Plan("inc", f"on top of {chain[-1].stem}")


def newest_chain(keys: list[SetKey]) -> list[SetKey]:
    """The newest full and the incrementals that build on each other up to the newest of all sets.

    Empty if the newest set does not lead back to a full.
    """
    if not keys:
        return []
    by_end = {key.end: key for key in keys}
    chain = [max(keys, key=lambda key: key.end)]
    while chain[0].type == "inc":
        before = by_end.get(chain[0].start)
        if before is None or before.end >= chain[0].end:
            return []
        chain.insert(0, before)
    return chain


def _is_whole(log: DropLog, key: SetKey, mirror: str) -> bool:
    return log.files(key).keys() == log.files(key, mirror).keys()
