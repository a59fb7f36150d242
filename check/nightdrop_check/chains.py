"""How a host's sets hang together: what builds on what, and where a set is missing that was there.

Two ties hold sets together. An incremental names the set it builds on. And every receipt names the
receipt before it (`previous`), so that the mirror, or whoever rules it, cannot withdraw a set unseen.
"""

from bisect import bisect_right
from dataclasses import dataclass
from typing import Literal

from nightdrop.names import SetKey
from nightdrop_check.shelf import Shelf, ShelfSet, is_ahead


@dataclass(frozen=True)
class Gap:
    """A place where sets are missing.

    `after` is the set that shows it: an incremental whose base is not there ("base"), or a receipt whose
    `previous` is not there ("previous"); or None, where only the ledger tells, be it of sets among those
    that are there ("among") or of older ones ("before"). `gone` are sets that the ledger saw there.
    """

    kind: Literal["base", "previous", "among", "before"]
    after: ShelfSet | None
    gone: tuple[SetKey, ...]


def has_base(shelf: Shelf, each: ShelfSet) -> bool:
    """Whether something is there of the set that `each` builds on. True for a full."""
    key = each.key
    if key.type == "full":
        return True
    if key.start:
        return (key.kind, key.start) in shelf.ends
    # Kinds other than duplicity's do not name their base: it is the set of the kind before.
    return shelf.first[key.kind] < key.end


def building_on(shelf: Shelf, key: SetKey) -> list[ShelfSet]:
    """The finished incrementals that cannot be restored without the set `key`, in order.

    Of kinds other than duplicity's that is every one up to the next full, because their names do not say.
    """
    out: list[ShelfSet] = []
    ends = {key.end}
    for each in shelf.done_by_kind.get(key.kind, ()):
        other = each.key
        if other.end <= key.end:
            continue
        if not other.start and other.type == "full":
            break
        if other.type == "inc" and (not other.start or other.start in ends):
            ends.add(other.end)
            out.append(each)
    return out


def base_is_acknowledged(shelf: Shelf, key: SetKey) -> bool:
    """Whether somebody knows that what an incremental builds on is gone."""
    return any(
        each.kind == key.kind and (each.end == key.start if key.start else each.end < key.end)
        for each in shelf.acknowledged
    )


def bases(shelf: Shelf) -> frozenset[tuple[str, str]]:
    """Kind and end of every set that a finished incremental names as the one it builds on."""
    return frozenset((each.key.kind, each.key.start) for each in shelf.done if each.key.start)


def claimed(shelf: Shelf) -> frozenset[SetKey]:
    """Sets without a usable receipt that had one once: a later receipt names it as `previous`."""
    return frozenset(culprit.key for _, culprit in _dangling(shelf) if culprit is not None)


def missed(shelf: Shelf) -> list[SetKey]:
    """The sets that are gone, in order, some that are as old being there; see `_gone`."""
    return sorted(_gone(shelf)[0], key=lambda key: key.end)


def all_gone(shelf: Shelf) -> list[SetKey]:
    """The sets that are gone, in order, older ones than all that are there among them."""
    return sorted(set.union(*_gone(shelf)), key=lambda key: key.end)


def _gone(shelf: Shelf) -> tuple[set[SetKey], set[SetKey]]:
    """The sets that came here complete and are gone: those that are missed among the others, and those
    that are older than all others, by the time of their names or by when they came.

    Neither are those that were pruned; nor those whose names were of a time to come, which stand in the
    way of a restore until they are removed.
    """
    among: set[SetKey] = set()
    before: set[SetKey] = set()
    if shelf.gone and shelf.done:
        first = min(each.key.end for each in shelf.done)
        oldest = min(each.received for each in shelf.done)
        for key, drop in shelf.gone:
            if not is_ahead(key, drop.received):
                (before if key.end < first or drop.received < oldest else among).add(key)
    return among, before


def gaps(shelf: Shelf) -> list[Gap]:
    """Every place where sets are missing and nobody is known to know it, once."""
    done = shelf.done
    found: dict[SetKey, Gap] = {}
    for each, culprit in _dangling(shelf):
        if culprit is None:
            found[each.key] = Gap("previous", each, ())
    for each in done:
        if not has_base(shelf, each):
            found[each.key] = Gap("base", each, ())
    ends = [each.key.end for each in done]
    among, before = _gone(shelf)
    gone: dict[SetKey | None, list[SetKey]] = {}
    older: list[SetKey] = []
    for key in sorted({*among, *before}.difference(shelf.acknowledged), key=lambda key: key.end):
        place = bisect_right(ends, key.end)
        following = done[place].key if place < len(done) else None
        if key in before and following not in found:
            older.append(key)
        else:
            gone.setdefault(following, []).append(key)
    for following, keys in gone.items():
        if following is not None and following in found:
            gap = found[following]
            found[following] = Gap(gap.kind, gap.after, tuple(keys))
        else:
            found[keys[-1]] = Gap("among", None, tuple(keys))
    if older:
        found[older[-1]] = Gap("before", None, tuple(older))
    return list(found.values())


def _dangling(shelf: Shelf) -> list[tuple[ShelfSet, ShelfSet | None]]:
    """Every finished set whose `previous` is no receipt that is here, with the set it must mean.

    That is a set without a usable receipt that lies between it and the finished set before it; None if
    there is none. A receipt whose signature does not hold may be the one, with other bytes, and is told
    of as such. The oldest finished set is left out: what was before it was removed, or this mirror is
    younger than the host.
    """
    known = {digest for each in shelf.sets for digest in each.receipt_digests}.union(shelf.pruned)
    known |= {drop.sha256 for key, drop in shelf.gone if key in shelf.acknowledged}
    out: list[tuple[ShelfSet, ShelfSet | None]] = []
    before: ShelfSet | None = None
    between: list[ShelfSet] = []
    for each in shelf.sets:
        if not each.told:
            between.append(each)
            continue
        previous = each.previous
        if previous and previous not in known and before is not None and before.signature != "bad":
            out.append((each, between[-1] if between else None))
        before, between = each, []
    return out
