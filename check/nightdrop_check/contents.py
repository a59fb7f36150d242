"""What is in the files: each is read once, and judged once.

A damaged file may break several promises at a time: cut off, it has neither its size nor its digest nor
an end. It is one damage, so a file gets one verdict, the one that says most; the rules only put the
verdicts into words. Which says most, in this order:

- `could-not-look`: nothing can be said of it;
- `corrupt`, where the size is right and the bytes are not, unless what is there is worse than that;
- `truncated`: it does not end where it should, or goes on after that;
- `not-encrypted`: it is no envelope;
- `wrong-recipient`: it is one, and somebody else can open it, or we cannot;
- `corrupt`: whatever else differs from what arrived, or from what the receipt states.
"""

import hashlib
import io
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO, Literal, NamedTuple

from nightdrop.envelope import der
from nightdrop.envelope.algorithms import AUTH_ENVELOPED_DATA, ENVELOPED_DATA
from nightdrop.envelope.inspection import Inspection, inspect_envelope
from nightdrop.envelope.recipients import RecipientId
from nightdrop.errors import EnvelopeError, VaultError
from nightdrop.vault import Vault
from nightdrop_check.shelf import Shelf, ShelfFile, ShelfSet

Code = Literal["could-not-look", "corrupt", "truncated", "not-encrypted", "wrong-recipient"]

_PIECE = 1024 * 1024


@dataclass(frozen=True)
class Facts:
    """What reading a file told: octets and SHA-256 (hex), and what the envelope says of itself, or why
    it is none, though it may begin as one. `problem` is why it could not be read; then nothing else is
    known.
    """

    size: int = 0
    sha256: str = ""
    inspection: Inspection | None = None
    no_envelope: str = ""
    begins_as_one: bool = False
    problem: str = ""


@dataclass(frozen=True)
class Verdict:
    """What is wrong with one file: a code, and why, as the end of a sentence."""

    code: Code
    set: ShelfSet
    file: ShelfFile
    why: str


class _Known(NamedTuple):
    """How somebody knows a file: its size in octets and its SHA-256 in hex."""

    source: str
    size: int
    sha256: str


@dataclass(frozen=True)
class Contents:
    """What the files of one host hold: what is wrong, and how much was read in full."""

    verdicts: tuple[Verdict, ...] = ()
    files: int = 0
    size: int = 0

    def of(self, code: Code) -> Iterator[tuple[ShelfSet, list[Verdict]]]:
        """The verdicts of this code, set by set."""
        by_set: dict[str, tuple[ShelfSet, list[Verdict]]] = {}
        for verdict in self.verdicts:
            if verdict.code == code:
                by_set.setdefault(verdict.set.stem, (verdict.set, []))[1].append(verdict)
        yield from by_set.values()


def read_contents(vault: Vault, shelf: Shelf, ours: frozenset[RecipientId]) -> Contents:
    """Read every file of the host's sets, and judge it. `ours` are the recipients there should be; if
    there are none, nobody can say whose an envelope is, and nothing is said of that.

    Left out are files that a receipt does not name: they are not part of any backup.
    """
    verdicts, files, size = [], 0, 0
    for each, file in _worth_reading(shelf):
        facts = read_facts(vault, shelf.host, file)
        if not facts.problem:
            files, size = files + 1, size + facts.size
        if (found := judge_file(each, file, facts, ours)) is not None:
            verdicts.append(Verdict(found[0], each, file, found[1]))
    return Contents(tuple(verdicts), files, size)


def read_facts(vault: Vault, host: str, file: ShelfFile) -> Facts:
    """Read one file to its end. Errors become facts."""
    try:
        with vault.open(host, file.name.name) as stream:
            size, sha256 = _digest(stream)
            if not file.name.sealed:
                return Facts(size, sha256)
            try:
                inspection = inspect_envelope(stream)
            except EnvelopeError as error:
                stream.seek(0)
                begins = begins_as_envelope(stream.read(64))
                return Facts(size, sha256, no_envelope=error.message, begins_as_one=begins)
            return Facts(size, sha256, inspection)
    except (VaultError, OSError) as error:
        return Facts(problem=str(error))


def begins_as_envelope(head: bytes) -> bool:
    """Whether a file's first octets, however few, are those of an envelope (RFC 5652, section 3)."""
    if head[:1] != bytes((der.SEQUENCE,)):
        return False
    length = 1 + (head[1] & 0x7F if len(head) > 1 and head[1] > 0x80 else 0)
    rest = head[1 + length :]
    return any(rest[: len(oid)] == oid[: len(rest)] for oid in (ENVELOPED_DATA, AUTH_ENVELOPED_DATA))


def judge_file(
    each: ShelfSet, file: ShelfFile, facts: Facts, ours: frozenset[RecipientId]
) -> tuple[Code, str] | None:
    """The one verdict on a file: code and reason; None if all is well."""
    if facts.problem:
        return "could-not-look", facts.problem
    expected = _expected(each, file)
    differs = [known for known in expected if (known.size, known.sha256) != (facts.size, facts.sha256)]
    difference = _difference(differs, facts)
    if file.name.sealed and (found := _judge_envelope(facts, ours)) is not None:
        code, why = found
        if code == "truncated" and differs and all(known.size == facts.size for known in differs):
            return "corrupt", difference
        if code == "not-encrypted" and facts.begins_as_one and any(k.size > facts.size for k in differs):
            return "truncated", difference
        return code, f"{why}; {difference}" if differs else why
    return ("corrupt", difference) if differs else None


def _judge_envelope(facts: Facts, ours: frozenset[RecipientId]) -> tuple[Code, str] | None:
    found = facts.inspection
    if found is None:
        if not facts.size:
            return "truncated", "it is empty"
        return "not-encrypted", facts.no_envelope
    if found.trailing:
        return "truncated", f"{found.trailing:,} octets follow its end"
    if found.complete is None:
        return (
            "could-not-look",
            "its base64 is not in even lines, so its tail does not tell whether it is whole",
        )
    if not found.complete:
        return "truncated", "it does not end where it should"
    strangers = [str(recipient) for recipient in found.recipients if recipient not in ours]
    if not ours or not strangers:
        return None
    whom = "; ".join(dict.fromkeys(strangers))
    if len(strangers) < len(found.recipients):
        return "wrong-recipient", f"{whom} can open it, too"
    return "wrong-recipient", f"only {whom} can open it"


def _expected(each: ShelfSet, file: ShelfFile) -> list[_Known]:
    """What is known of how a file should be."""
    out = []
    if (stated := each.stated.get(file.name.name)) is not None:
        out.append(_Known("its receipt", stated.size, stated.sha256))
    if file.drop is not None:
        out.append(_Known("the ledger", file.drop.size, file.drop.sha256))
    return out


def _difference(differs: list[_Known], facts: Facts) -> str:
    """How a file differs from what is known of it, in words."""
    for known in differs:
        if known.size != facts.size:
            return f"{facts.size:,} octets are there, and {known.source} says {known.size:,}"
    verb = "says" if len(differs) == 1 else "say"
    return f"its bytes are not what {' and '.join(known.source for known in differs)} {verb}"


def _worth_reading(shelf: Shelf) -> Iterator[tuple[ShelfSet, ShelfFile]]:
    for each in shelf.sets:
        unnamed = frozenset(each.unnamed())
        for name, file in each.files.items():
            # A receipt that could not be used is told of as such already.
            unusable = name == each.key.receipt_name and each.receipt is None
            if name not in unnamed and not unusable:
                yield each, file


def _digest(stream: BinaryIO) -> tuple[int, str]:
    hasher, size = hashlib.sha256(), 0
    buffer = memoryview(bytearray(_PIECE))
    while octets := stream.readinto(buffer):  # type: ignore[attr-defined]
        hasher.update(buffer[:octets])
        size += octets
    stream.seek(0, io.SEEK_SET)
    return size, hasher.hexdigest()
