"""Some files of a backup, by chance, with what duplicity itself noted down of them.

A set's signatures hold, for each regular file in it, librsync's signature of its content: a checksum and
a strong hash of every block. They were made on the host, from the file, before anything was sealed or
sent. So a restored file whose signature comes out the same is the file that was backed up.
"""

import heapq
import os
import random
import tarfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Final

from duplicity.librsync import SigGenerator

from nightdrop.engine.tars import Member, Reader
from nightdrop.errors import EnvelopeError, VaultError
from nightdrop_restore.items import Index
from nightdrop_restore.manifests import opening_whole
from nightdrop_restore.opening import open_envelope
from nightdrop_restore.origin import Origin

_CHUNK: Final = 1024 * 1024
_SIGNED: Final = "signature/"
_PREFIXES: Final = (_SIGNED, "snapshot/", "deleted/")
# magic, block length, length of a strong hash: four octets each, big endian
_BLOCK_LENGTH: Final = slice(4, 8)
_LONGEST_BLOCK: Final = 1 << 24
_REGULAR: Final = (tarfile.REGTYPE, tarfile.AREGTYPE)

_Member = Member | tarfile.TarInfo


@dataclass(frozen=True)
class Sample:
    """A regular file of a backup, and librsync's signature of its content."""

    index: Index
    signature: bytes

    def is_like(self, path: Path) -> bool:
        """Whether a file has the content that this one had."""
        block = int.from_bytes(self.signature[_BLOCK_LENGTH], "big")
        if not 0 < block <= _LONGEST_BLOCK or path.is_symlink() or not path.is_file():
            return False
        signer = SigGenerator(block)
        with path.open("rb") as file:
            while piece := file.read(_CHUNK):
                signer.update(piece)
        return bool(signer.getsig() == self.signature)


def sample(work: Path, origin: Origin, number: int) -> tuple[int, list[Sample]]:
    """How many regular files the newest state has, and so many of them by chance (all, if there are no
    more). VaultError or EnvelopeError if the signatures are not to be had.
    """
    choose = random.SystemRandom()
    chosen: list[Sample] = []
    seen = 0
    plain = [_signatures(work, origin, each) for each in range(len(origin.chain))]
    try:
        with ExitStack() as opened:
            archives = [Reader(opened.enter_context(path.open("rb"))) for path in plain]
            for archive, member in _newest(archives):
                seen += 1
                # Each of those seen so far is as likely to be among the chosen (Vitter's algorithm R).
                place = len(chosen) if len(chosen) < number else choose.randrange(seen)
                if place >= number:
                    continue
                one = Sample(_index(member), archive.content(member.size))
                if place == len(chosen):
                    chosen.append(one)
                else:
                    chosen[place] = one
    except tarfile.TarError as error:
        raise VaultError(f"the signatures of {origin.host} cannot be read: {error}") from error
    return seen, chosen


def _signatures(work: Path, origin: Origin, number: int) -> Path:
    """The signatures of one set of the chain, opened, as the tar file that they are."""
    name = origin.chain[number].key.signatures_name
    sealed, plain = work / name, work / f"signatures-{number}.tar"
    origin.copies(lambda _text: None).fetch(name, sealed, opening_whole(origin, name))
    with sealed.open("rb") as file, plain.open("wb") as out:
        try:
            open_envelope(file.read, out.write, [origin.key])
        except EnvelopeError as error:
            raise EnvelopeError(f"{origin.host}/{name}: {error.message}", error.hint) from error
    sealed.unlink()
    return plain


def _newest(archives: Sequence[Reader]) -> Iterator[tuple[Reader, _Member]]:
    """The regular files of the newest state: of each path, what the last set that has it says.

    The content of each can be had until the next one is asked for.
    """

    def members(number: int) -> Iterator[tuple[Index, int, _Member]]:
        for member in archives[number]:
            if member.name.startswith(_PREFIXES):
                yield _index(member), -number, member

    merged = heapq.merge(*map(members, range(len(archives))), key=lambda found: found[:2])
    for _path, same in groupby(merged, key=lambda found: found[0]):
        _, number, member = next(same)
        if member.name.startswith(_SIGNED):
            if member.type not in _REGULAR:
                raise tarfile.ReadError("a header in them makes no sense")
            yield archives[-number], member


def _index(member: _Member) -> Index:
    return tuple(os.fsencode(member.name.partition("/")[2].rstrip("/")).split(b"/"))
