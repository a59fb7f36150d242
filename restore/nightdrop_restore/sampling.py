"""Some files of a backup, by chance, with what duplicity itself noted down of them.

A set's signatures hold, for each regular file in it, librsync's signature of its content: a checksum and
a strong hash of every block. They were made on the host, from the file, before anything was sealed or
sent. So a restored file whose signature comes out the same is the file that was backed up.

Signatures are read as streams, and of those of one file, its digest is kept: that of a file of 60 GB has
350 MB.
"""

import hashlib
import heapq
import os
import random
import tarfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Final

from duplicity.librsync import SigGenerator

from nightdrop.engine.tars import Member, Reader
from nightdrop.errors import EnvelopeError, VaultError
from nightdrop_restore.envelope.decompressing import Decompressed
from nightdrop_restore.envelope.opening import open_envelope
from nightdrop_restore.items import Index
from nightdrop_restore.manifests import opening_whole
from nightdrop_restore.origin import Origin

_CHUNK: Final = 256 * 1024
_SIGNED: Final = "signature/"
_KINDS: Final = ("signature", "snapshot", "deleted")
# magic, block length, length of a strong hash: four octets each, big endian
_BLOCK_LENGTH: Final = slice(4, 8)
_LONGEST_BLOCK: Final = 1 << 24
_REGULAR: Final = (tarfile.REGTYPE, tarfile.AREGTYPE)

_Member = Member | tarfile.TarInfo


@dataclass(frozen=True)
class Sample:
    """A regular file of a backup, and of librsync's signature of its content, the length of the blocks
    in octets and the SHA-256.
    """

    index: Index
    block: int
    digest: bytes

    @classmethod
    def of(cls, index: Index, read: Callable[[int], bytes]) -> "Sample":
        """A file of which `read` gives the signature."""
        head = read(_BLOCK_LENGTH.stop)
        digest = hashlib.sha256(head)
        while piece := read(_CHUNK):
            digest.update(piece)
        return cls(index, int.from_bytes(head[_BLOCK_LENGTH], "big"), digest.digest())

    def is_like(self, path: Path) -> bool:
        """Whether a file has the content that this one had."""
        if not 0 < self.block <= _LONGEST_BLOCK or path.is_symlink() or not path.is_file():
            return False
        signer, digest = SigGenerator(self.block), hashlib.sha256()
        with path.open("rb") as file:
            while piece := file.read(_CHUNK):
                signer.update(piece)
                # It would keep all of it until the end.
                digest.update(b"".join(signer.sigstring_list))
                signer.sigstring_list.clear()
        digest.update(signer.getsig())
        return digest.digest() == self.digest


def sample(work: Path, origin: Origin, number: int) -> tuple[int, list[Sample]]:
    """How many regular files the newest state has, and so many of them by chance (all, if there are no
    more). VaultError or EnvelopeError if the signatures are not to be had, or are none.
    """
    choose = random.SystemRandom()
    chosen: list[Sample] = []
    entries = seen = 0
    files = [_signatures(work, origin, each) for each in range(len(origin.chain))]
    try:
        with ExitStack() as opened:
            archives = [Reader(Decompressed(opened.enter_context(path.open("rb")))) for path in files]
            for archive, member in _newest(archives):
                entries += 1
                if not member.name.startswith(_SIGNED):
                    continue
                if member.type not in _REGULAR:
                    raise tarfile.ReadError("a header in them makes no sense")
                seen += 1
                # Each of those seen so far is as likely to be among the chosen (Vitter's algorithm R).
                place = len(chosen) if len(chosen) < number else choose.randrange(seen)
                if place >= number:
                    continue
                one = Sample.of(_index(member), archive.content)
                if place == len(chosen):
                    chosen.append(one)
                else:
                    chosen[place] = one
    except tarfile.TarError as error:
        raise VaultError(f"the signatures of {origin.host} cannot be read: {error}") from error
    for one_set, archive in zip(origin.chain, archives, strict=True):
        if not archive.whole:
            name = one_set.key.signatures_name
            raise VaultError(f"{origin.host}/{name}: it opens, and in it are no signatures, or not all")
    if not entries:
        raise VaultError(f"the signatures of {origin.host} are empty: they name not even a folder")
    return seen, chosen


def _signatures(work: Path, origin: Origin, number: int) -> Path:
    """The signatures of one set of the chain, opened, as the tar file that they are; still compressed:
    a hostile host's unpack to more than any disk holds.
    """
    name = origin.chain[number].key.signatures_name
    sealed, plain = work / name, work / f"signatures-{number}"
    origin.copies(lambda _text: None).fetch(name, sealed, opening_whole(origin, name))
    with sealed.open("rb") as file, plain.open("wb") as out:
        try:
            open_envelope(file.read, out.write, [origin.key], decompress=False)
        except EnvelopeError as error:
            raise EnvelopeError(f"{origin.host}/{name}: {error.message}", error.hint) from error
    sealed.unlink()
    return plain


def _newest(archives: Sequence[Reader]) -> Iterator[tuple[Reader, _Member]]:
    """The newest state: of each path, what the last set that has it says.

    The content of each can be had until the next one is asked for.
    """

    def members(number: int) -> Iterator[tuple[Index, int, _Member]]:
        for member in archives[number]:
            if member.name.partition("/")[0] in _KINDS:
                yield _index(member), -number, member

    merged = heapq.merge(*map(members, range(len(archives))), key=lambda found: found[:2])
    for _path, same in groupby(merged, key=lambda found: found[0]):
        _, number, member = next(same)
        yield archives[-number], member


def _index(member: _Member) -> Index:
    return tuple(os.fsencode(member.name.partition("/")[2].rstrip("/")).split(b"/"))
