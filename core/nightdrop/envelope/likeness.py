"""Recognising an envelope that is like one that was inspected: sealed to the same, in the same way.

A vault holds a million envelopes, and those that one client makes differ only in what no two share: the
encrypted keys, the nonce, the content. So their heads are compared, octet by octet, with one that was
read with care; where everything else is the same, so is what there is to tell.
"""

from nightdrop.envelope.entries import Agreement, Transport
from nightdrop.envelope.inspection import Ending, Inspection


class Likeness:
    """What envelopes have in common with one that was inspected, given its first octets."""

    def __init__(self, found: Inspection, head: bytes) -> None:
        self._ending = Ending(found.header, segmented=True)
        # Two octets on, because `segmented` is told by them.
        self._content_at = found.content_at
        self._pieces = _pieces(head[: found.content_at + 2], _varying(found))

    @staticmethod
    def possible(found: Inspection, head: bytes) -> bool:
        """Whether others can be like this one: it states no lengths, and its head is all there."""
        stateless = found.form == "BER" and found.segmented and set(found.header.ends) == {None}
        return stateless and len(head) >= found.content_at + 2

    def holds_for(self, head: bytes) -> bool:
        """Whether a file that begins with these octets would be inspected to the same end."""
        return all(head.startswith(octets, at) for at, octets in self._pieces)

    def ends_properly(self, tail: bytes, size: int) -> bool:
        """Whether such a file of so many octets, with this end, is whole."""
        return self._ending.stands_in(tail, after=self._content_at - size + len(tail))


def _varying(found: Inspection) -> list[bytes]:
    """What differs from one envelope to the next although they are sealed to the same."""
    varying = [found.header.nonce]
    for entry in found.entries:
        if isinstance(entry, Transport):
            varying.append(entry.key)
        elif isinstance(entry, Agreement):
            varying += [entry.key, entry.originator]
    return varying


def _pieces(head: bytes, varying: list[bytes]) -> list[tuple[int, bytes]]:
    """Where the rest begins in the head, and what it is."""
    gaps = []
    for octets in varying:
        # What stands there twice, by chance or on purpose, is taken for a part of the rest.
        if octets and head.count(octets) == 1:
            at = head.index(octets)
            gaps.append((at, at + len(octets)))
    pieces, at = [], 0
    for begin, end in sorted(gaps):
        pieces.append((at, head[at:begin]))
        at = max(at, end)
    return [*pieces, (at, head[at:])]
