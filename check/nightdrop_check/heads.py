"""What a file tells of itself without a key, from its first kilobytes and its tail.

Read once for each file: what is found is remembered until the file changes (`memory`). And envelopes of
one client are like each other, so few of them have to be taken apart (`HeadReader`).
"""

import zlib
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from typing import BinaryIO, Final

from nightdrop.envelope import der
from nightdrop.envelope.algorithms import AUTH_ENVELOPED_DATA, ENVELOPED_DATA
from nightdrop.envelope.inspection import Inspection, inspect_envelope
from nightdrop.envelope.likeness import Likeness
from nightdrop.envelope.recipients import RecipientId
from nightdrop.errors import EnvelopeError, UnknownCipherError, VaultError
from nightdrop.vault import FolderVault, Wanted

_SAMPLE_AT: Final = 6 * 1024
_SAMPLE: Final = 2 * 1024
_TAIL: Final = 64
"""Octets that tell whether a message of indefinite length ends. All in all, of most files three pages of
memory are read.
"""
_NOISE: Final = 0.9
_GLANCE: Final = 128
_MANY: Final = 85
"""Of 128 random octets 101 are different ones, give or take 4; of programs and texts mostly far fewer.
A glance at them saves most of the compressing.
"""
_STRANGERS: Final = 4
_LONGEST: Final = 512
_ALIKE: Final = 8
"""How many kinds of envelopes are kept in mind: keys change, and hosts differ little."""


@dataclass(frozen=True)
class Head:
    """What an envelope says of itself: its cipher, its recipients (ours all, and a few others), whether
    it ends properly (None where its tail does not tell), how many octets follow its end; or, in
    `no_envelope`, why it is none, though it may begin as one; or, in `unknown_cipher`, why no more can be
    told of it. `noise` is False where what it holds does not look encrypted.
    """

    cipher: str = ""
    recipients: tuple[RecipientId, ...] = ()
    complete: bool | None = True
    trailing: int = 0
    no_envelope: str = ""
    begins_as_one: bool = False
    unknown_cipher: str = ""
    noise: bool = True


class _Kind:
    """What is told of envelopes that are alike: one of four heads."""

    def __init__(self, likeness: Likeness, cipher: str, recipients: tuple[RecipientId, ...]) -> None:
        self.likeness = likeness
        self._heads = {
            (whole, noise): Head(cipher, recipients, whole, noise=noise)
            for whole in (True, False)
            for noise in (True, False)
        }

    def tell(self, head: bytes, tail: bytes, size: int) -> Head:
        """What such a file, with these ends and of so many octets, tells of itself."""
        return self._heads[self.likeness.ends_properly(tail, size), _is_noise(head)]


class HeadReader:
    """Describes the files of a vault, one after the other."""

    def __init__(self, vault: FolderVault, ours: Collection[RecipientId]) -> None:
        """`ours` are the recipients there should be."""
        self._vault = vault
        self._ours = ours
        self._known: list[_Kind] = []

    def read(self, host: str, names: Iterable[str]) -> Iterator[Head | Exception]:
        """Describe files of a host, one after the other; of one that cannot be read, why."""
        wanted = [Wanted(name, _SAMPLE_AT + _SAMPLE, _TAIL) for name in names]
        for each, ends in zip(wanted, self._vault.ends(host, wanted), strict=True):
            if isinstance(ends, VaultError):
                yield ends
                continue
            try:
                yield self._describe(host, each.name, *ends)
            except (VaultError, OSError) as error:
                yield error

    def _describe(self, host: str, name: str, head: bytes, tail: bytes, size: int) -> Head:
        """What a file of so many octets, with these ends, tells of itself."""
        for number, kind in enumerate(self._known):
            if kind.likeness.holds_for(head):
                if number:
                    self._known.insert(0, self._known.pop(number))
                return kind.tell(head, tail, size)
        with self._vault.open(host, name) as stream:
            return self._read_carefully(stream, head)

    def _read_carefully(self, stream: BinaryIO, head: bytes) -> Head:
        try:
            found = inspect_envelope(stream)
        except UnknownCipherError as error:
            return Head(unknown_cipher=error.message)
        except EnvelopeError as error:
            return Head(no_envelope=error.message, begins_as_one=begins_as_envelope(head[:64]))
        recipients = tuple(self._told(dict.fromkeys(found.recipients)))
        self._learn(found, head, recipients)
        noise = _is_noise(head) if found.form == "BER" else True
        return Head(found.cipher, recipients, found.complete, found.trailing, noise=noise)

    def _told(self, recipients: Iterable[RecipientId]) -> Iterator[RecipientId]:
        """Ours, and a few others. A head is remembered, and a hostile one names a megabyte of them."""
        strangers = 0
        for one in recipients:
            if one in self._ours:
                yield one
            elif strangers < _STRANGERS:
                strangers += 1
                long = len(one.issuer) + len(one.key_id) + one.serial.bit_length() // 8 > _LONGEST
                yield RecipientId(key_id=sha256(repr(one).encode()).digest()) if long else one

    def _learn(self, found: Inspection, head: bytes, recipients: tuple[RecipientId, ...]) -> None:
        if Likeness.possible(found, head):
            self._known.insert(0, _Kind(Likeness(found, head), found.cipher, recipients))
            del self._known[_ALIKE:]


def begins_as_envelope(head: bytes) -> bool:
    """Whether a file's first octets, however few, are those of an envelope (RFC 5652, section 3)."""
    if head[:1] != bytes((der.SEQUENCE,)):
        return False
    length = 1 + (head[1] & 0x7F if len(head) > 1 and head[1] > 0x80 else 0)
    rest = head[1 + length :]
    return any(rest[: len(oid)] == oid[: len(rest)] for oid in (ENVELOPED_DATA, AUTH_ENVELOPED_DATA))


def _is_noise(head: bytes) -> bool:
    """Whether a piece of the content looks like ciphertext: that cannot be compressed.

    The piece stands where most heads have ended, and a few recipients more make it no less noise, because
    theirs are encrypted keys. Of a shorter file nobody can say.
    """
    sample = head[_SAMPLE_AT:]
    if len(sample) < _SAMPLE or len(set(sample[:_GLANCE])) >= _MANY:
        return True
    return len(zlib.compress(sample, 1)) > _NOISE * _SAMPLE
