"""What is in the files: each has one verdict.

A damaged file may break several promises at a time: cut off, it has neither its size nor its digest nor
an end. It is one damage, so a file gets one verdict, the one that says most; the rules only put the
verdicts into words. Which says most, in this order:

- `could-not-look`: nothing can be said of it;
- `corrupt`, where the size is right and the bytes are not, unless what is there is worse than that;
- `truncated`: it does not end where it should, or goes on after that;
- `not-encrypted`: it is no envelope, or what it holds does not look encrypted;
- `weak-cipher`: it is one, and its cipher is not one of ours;
- `wrong-recipient`: it is one, and somebody else can open it, or we cannot;
- `corrupt`: whatever else differs from what arrived, or from what the receipt states.

Heads are read when a file is new or has changed. Reading a file to its end is the scrub's (`scrub`);
until then its digest is what the mirror computed when it came.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, NamedTuple

from nightdrop.envelope.algorithms import CIPHER_OIDS, CIPHERS
from nightdrop.envelope.recipients import RecipientId
from nightdrop_check.heads import Head, HeadReader
from nightdrop_check.memory import Seen
from nightdrop_check.shelf import Shelf, ShelfFile, ShelfSet
from nightdrop_check.words import some

Code = Literal[
    "could-not-look", "corrupt", "truncated", "not-encrypted", "weak-cipher", "wrong-recipient"
]


@dataclass(frozen=True)
class Verdict:
    """What is wrong with one file: a code, and why, as the end of a sentence."""

    code: Code
    set: ShelfSet
    file: ShelfFile
    why: str


class _Known(NamedTuple):
    """How somebody knows a file: its size in octets, None where only its SHA-256 (hex) is known."""

    source: str
    size: int | None
    sha256: str


@dataclass(frozen=True)
class Contents:
    """What the files of one host hold: what is wrong, and what is seen of each file, by name."""

    verdicts: tuple[Verdict, ...]
    seen: dict[str, Seen]

    def of(self, code: Code) -> Iterator[tuple[ShelfSet, list[Verdict]]]:
        """The verdicts of this code, set by set."""
        by_set: dict[str, tuple[ShelfSet, list[Verdict]]] = {}
        for verdict in self.verdicts:
            if verdict.code == code:
                by_set.setdefault(verdict.set.stem, (verdict.set, []))[1].append(verdict)
        yield from by_set.values()


def judge_contents(
    heads: HeadReader, shelf: Shelf, known: dict[str, Seen], ours: frozenset[RecipientId], now: float
) -> Contents:
    """Judge every file of the host's sets that are not settled, looking into those that are new or have
    changed.

    `known` is what was seen before. `ours` are the recipients there should be; if there are none, nobody
    can say whose an envelope is, and nothing is said of that. Left out are files that a receipt does not
    name: they are not part of any backup.
    """
    verdicts, seen = [], {}
    judge = _HeadJudge(ours)
    files = list(_worth_looking_at(shelf))
    new = [file.name for _, file in files if not _is_known(file, known) and file.size]
    sealed = [name.name for name in new if name.sealed]
    read = dict(zip(sealed, heads.read(shelf.host, sealed), strict=True)) if sealed else {}
    for each, file in files:
        name = file.name.name
        if file.name.part == "receipt":
            facts = _receipt_seen(each, file, known.get(name), now)
        elif _is_known(file, known):
            facts = known[name]
        else:
            facts = _seen(each, file, known.get(name), read.get(name))
        seen[name] = facts
        if (found := judge_file(each, file, facts, judge)) is not None:
            verdicts.append(Verdict(found[0], each, file, found[1]))
    return Contents(tuple(verdicts), seen)


def _receipt_seen(each: ShelfSet, file: ShelfFile, before: Seen | None, now: float) -> Seen:
    """A receipt was just read whole. What differs from what it was, the receipt after it tells."""
    sha256 = each.receipt_sha256
    first = file.drop.sha256 if file.drop else sha256
    facts = (file.size, file.changed, first, sha256, "")
    if before and (before.size, before.changed, before.first, before.sha256, before.problem) == facts:
        return before
    return Seen(file.name.name, file.size, file.changed, file.received, None, first, sha256, now)


def _is_known(file: ShelfFile, known: dict[str, Seen]) -> bool:
    """Whether a file is as it was seen before."""
    before = known.get(file.name.name)
    return before is not None and (before.size, before.changed) == (file.size, file.changed)


def _seen(each: ShelfSet, file: ShelfFile, before: Seen | None, head: Head | Exception | None) -> Seen:
    """What is to be seen of a file that is new or has changed, without reading it to its end.

    One that has changed is remembered for the digest it had first, and has to be read again.
    """
    stated = each.stated.get(file.name.name)
    first = before.first if before else file.drop.sha256 if file.drop else stated.sha256 if stated else ""
    changed, problem = file.changed, ""
    if isinstance(head, Exception):
        # Not remembered as it is: the next look tries again.
        head, changed, problem = None, 0.0, str(head)
    return Seen(file.name.name, file.size, changed, file.received, head, first, "", 0, problem)


class _HeadJudge:
    """Judges heads; each once, because files that are alike share theirs."""

    def __init__(self, ours: frozenset[RecipientId]) -> None:
        self._ours = ours
        # With the head, so that no other one gets its identity.
        self._known: dict[int, tuple[Head | None, tuple[Code, str] | None]] = {}

    def judge(self, head: Head | None) -> tuple[Code, str] | None:
        """What a head tells against its file."""
        if (known := self._known.get(id(head))) is None:
            known = self._known[id(head)] = head, _judge_head(head, self._ours)
        return known[1]


def judge_file(each: ShelfSet, file: ShelfFile, seen: Seen, heads: _HeadJudge) -> tuple[Code, str] | None:
    """The one verdict on a file: code and reason; None if all is well."""
    if seen.problem:
        return "could-not-look", seen.problem
    differs = _differing(each, file, seen)
    difference = _difference(differs, seen) if differs else ""
    if file.name.sealed and (found := heads.judge(seen.head)) is not None:
        code, why = found
        if code == "truncated" and differs and all(known.size == seen.size for known in differs):
            return "corrupt", difference
        head = seen.head
        if head and head.begins_as_one and any((known.size or 0) > seen.size for known in differs):
            return "truncated", difference
        return code, f"{why}; {difference}" if differs else why
    if differs:
        return "corrupt", difference
    stated = each.stated.get(file.name.name)
    if stated and file.drop and file.drop.sha256 != stated.sha256 and not seen.sha256:
        return "corrupt", "the bytes that came are not those that its receipt tells of"
    return None


def _judge_head(head: Head | None, ours: frozenset[RecipientId]) -> tuple[Code, str] | None:
    if head is None:
        return "truncated", "it is empty"
    if head.no_envelope:
        return "not-encrypted", head.no_envelope
    if head.unknown_cipher:
        return "weak-cipher", head.unknown_cipher
    if head.trailing:
        return "truncated", f"{head.trailing:,} octets follow its end"
    if head.complete is None:
        return (
            "could-not-look",
            "its base64 is not in even lines, so its tail does not tell whether it is whole",
        )
    if not head.complete:
        return "truncated", "it does not end where it should"
    if not head.noise:
        return "not-encrypted", "it has an envelope's form, and what it holds does not look encrypted"
    if not _is_strong(head):
        return "weak-cipher", f"its cipher is {head.cipher}"
    return _judge_recipients(head, ours)


def _is_strong(head: Head) -> bool:
    identifier = CIPHER_OIDS.get(head.cipher)
    return identifier is not None and CIPHERS[identifier].strong


def _judge_recipients(head: Head, ours: frozenset[RecipientId]) -> tuple[Code, str] | None:
    strangers = [str(recipient) for recipient in head.recipients if recipient not in ours]
    if not ours or not strangers:
        return None
    whom = some(dict.fromkeys(strangers))
    if len(strangers) < len(head.recipients):
        return "wrong-recipient", f"{whom} can open it, too"
    return "wrong-recipient", f"only {whom} can open it"


def _differing(each: ShelfSet, file: ShelfFile, seen: Seen) -> list[_Known]:
    """What is known of how a file should be, and is not so."""
    stated, drop, out = each.stated.get(file.name.name), file.drop, []
    size, sha256 = seen.size, seen.sha256
    if stated is not None and (stated.size != size or (sha256 and stated.sha256 != sha256)):
        out.append(_Known("its receipt", stated.size, stated.sha256))
    if drop is not None and (drop.size != size or (sha256 and drop.sha256 != sha256)):
        out.append(_Known("the ledger", drop.size, drop.sha256))
    if stated is None and drop is None and sha256 and seen.first not in ("", sha256):
        out.append(_Known("the check's memory", None, seen.first))
    return out


def _difference(differs: list[_Known], seen: Seen) -> str:
    """How a file differs from what is known of it, in words."""
    for known in differs:
        if known.size is not None and known.size != seen.size:
            return f"{seen.size:,} octets are there, and {known.source} says {known.size:,}"
    verb = "says" if len(differs) == 1 else "say"
    return f"its bytes are not what {' and '.join(known.source for known in differs)} {verb}"


def _worth_looking_at(shelf: Shelf) -> Iterator[tuple[ShelfSet, ShelfFile]]:
    for each in shelf.loose:
        passed_over = {*each.unnamed()}
        if not each.told:
            # One that is there and could not be used is told of as such already.
            passed_over.add(each.key.receipt_name)
        for name, file in each.files.items():
            if name not in passed_over:
                yield each, file
