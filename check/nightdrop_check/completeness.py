"""How far each set of a host got: whole, damaged, under way, or left behind by a run that died.

No run is ever continued under the same names, so what a dead run leaves lies there for good. That is
no reason to worry anybody, as long as nothing builds on it and a later run went through.
"""

from typing import Final, Literal, NamedTuple

from nightdrop.sets import lacking
from nightdrop_check import chains
from nightdrop_check.shelf import Shelf, ShelfSet
from nightdrop_check.words import part_of_set, some

UNDERWAY: Final = 24 * 3600
"""Seconds after its last file in which an unfinished newest set is taken to be still arriving."""

State = Literal["whole", "damaged", "elsewhere", "underway", "leftover", "told"]


class Standing(NamedTuple):
    """How far a set got, and, where it matters, what of it is missing, as the end of a sentence.

    "elsewhere" is a set that the host finished, as its later sets show, and that has no receipt here:
    this mirror was away for a part of it, or somebody withdrew the receipt. "told" is a set whose receipt
    lies there and is none; that is told as damage to the receipt.
    """

    set: ShelfSet
    state: State
    why: str = ""


def standings(shelf: Shelf, now: float) -> list[Standing]:
    """How far each set of the host got."""
    done = {each.key for each in shelf.done}
    newest = {each.key.kind: each.key for each in sorted(shelf.sets, key=lambda e: e.newest_file)}
    claimed, bases = chains.claimed(shelf), chains.bases(shelf)
    out = []
    for each in shelf.sets:
        if each.settled and each.key in done:
            out.append(Standing(each, "whole"))
            continue
        recent = newest[each.key.kind] == each.key and now - each.newest_file < UNDERWAY
        # Only duplicity's names say what an incremental builds on; later receipts say it of every kind.
        needed = each.key in claimed or (each.key.kind, each.key.end) in bases
        known = {"done": each.key in done, "needed": needed, "recent": recent}
        out.append(_standing(shelf, each, **known))
    return out


def _standing(shelf: Shelf, each: ShelfSet, *, done: bool, needed: bool, recent: bool) -> Standing:
    """How far one set got: `recent` is that it may still be arriving."""
    if each.absent:
        names = [part_of_set(file.name) for file in each.absent]
        is_not, it = ("is not", "it") if len(names) == 1 else ("are not", "them")
        return Standing(each, "damaged", f"{some(names)} {is_not} there, and its receipt names {it}")
    if each.told and (lacks := lacking(each.key, each.stated)):
        return Standing(each, "damaged", f"its receipt does not name {some(lacks)}")
    if done:
        return Standing(each, "whole")
    if each.receipt_state != "absent":
        return Standing(each, "told")
    if each.receipt_was_here:
        return Standing(each, "damaged", "its receipt was here once and is gone")
    if not shelf.uses_receipts and (needed or each.key.manifest_name in each.files):
        return Standing(each, "damaged", f"it lacks {some(lacking(each.key, each.files))}")
    if needed:
        return Standing(each, "elsewhere", "its receipt never came here, or was withdrawn")
    return Standing(each, "underway" if recent else "leftover")
