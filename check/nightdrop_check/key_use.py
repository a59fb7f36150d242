"""What each of our keys is still needed for: which sets it opens, and which no other key does.

So that an old key is not thrown away too early, and one that lies in a safe is seen to open
what it should.
"""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from nightdrop.text import count
from nightdrop_check.words import ago, some

Openers = tuple[str, ...]
"""Fingerprints of the recipients that can open every envelope of a set."""


class Sealed(NamedTuple):
    """How many of a host's sets have the same openers, and when the newest came (epoch seconds)."""

    number: int
    newest: float


class KeyUse(NamedTuple):
    """One recipient: its name, how many sets it opens of how many there are, and how many of them nothing
    else opens: of which hosts, and when the newest came (epoch seconds).
    """

    name: str
    opens: int
    sets: int
    alone: int
    hosts: tuple[str, ...]
    newest: float


def sum_up_sealed(sets: Iterable[tuple[Openers, float]]) -> dict[Openers, Sealed]:
    """Sum up a host's sets: the openers of each, and when it came."""
    times: dict[Openers, list[float]] = {}
    for openers, received in sets:
        times.setdefault(openers, []).append(received)
    return {openers: Sealed(len(each), max(each)) for openers, each in times.items()}


def key_uses(
    names: Mapping[str, str], sealed: Mapping[str, Mapping[Openers, Sealed]]
) -> tuple[KeyUse, ...]:
    """The use of every recipient, given their names by fingerprint, and what is sealed by host."""
    every = [(host, *each) for host, summed in sealed.items() for each in summed.items()]
    total = sum(each.number for _, _, each in every)
    out = []
    for fingerprint, name in names.items():
        alone = [(host, each) for host, openers, each in every if openers == (fingerprint,)]
        out.append(
            KeyUse(
                name=name,
                opens=sum(each.number for _, openers, each in every if fingerprint in openers),
                sets=total,
                alone=sum(each.number for _, each in alone),
                hosts=tuple(host for host, _ in alone),
                newest=max((each.newest for _, each in alone), default=0.0),
            )
        )
    return tuple(out)


def in_words(use: KeyUse, now: float) -> str:
    """A sentence about a key."""
    text = f"Key {use.name}: opens {use.opens:,} of {count(use.sets, 'set')}"
    if not use.alone:
        return f"{text}; each of them opens with another key, too." if use.opens else f"{text}."
    which = "the newest came" if use.alone > 1 else "it came"
    return (
        f"{text}, {use.alone:,} with no other key ({some(use.hosts)}; {which} {ago(now - use.newest)})."
    )
