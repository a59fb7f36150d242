"""The copies of a host's files in one or several vaults: the first one that is what it has to be counts.

What a vault lacks, cannot read or has damaged is taken from the next, file by file, and said.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from nightdrop.errors import VaultError
from nightdrop.vault import Vault

Accept = Callable[[Path], str]
"""Looks at a fetched copy: "" if it is what it has to be, or what is wrong with it."""

_CHUNK = 1024 * 1024


@dataclass(frozen=True)
class Place:
    """A vault, and how messages name it."""

    name: str
    vault: Vault


@dataclass(frozen=True)
class Copies:
    """A host's files in these places, of which the first is asked first.

    `digests` are the SHA-256 (hex) of files whose receipt tells it. `on_other` is told of each file
    that had to be taken from another place than the first, in words.
    """

    places: Sequence[Place]
    host: str
    digests: Mapping[str, str] = field(default_factory=dict)
    on_other: Callable[[str], object] = lambda _text: None

    def fetch(self, name: str, into: Path, accept: Accept | None = None) -> int:
        """Write the first good copy of a file to `into`; its octets. VaultError if there is none.

        Good is what `accept` says, or without it, what has the digest of its receipt, if it has one.
        """
        wrong = []
        for place in self.places:
            try:
                with place.vault.open(self.host, name) as source:
                    octets, digest = _copy(source, into)
            except (VaultError, OSError) as error:
                wrong.append(f"{place.name}: {error}")
                continue
            reason = accept(into) if accept else self._unlike_receipt(name, digest)
            if not reason:
                if wrong:
                    self.on_other(f"{name} taken from {place.name}; {'; '.join(wrong)}")
                return octets
            wrong.append(f"{place.name}: {reason}")
        raise VaultError(f"{self.host}/{name}: {'; '.join(wrong)}")

    def unlike_receipt(self, name: str, path: Path) -> str:
        """What is wrong with a copy, as far as the receipt tells; "" if nothing."""
        with path.open("rb") as file:
            return self._unlike_receipt(name, hashlib.file_digest(file, "sha256").hexdigest())

    def _unlike_receipt(self, name: str, digest: str) -> str:
        return "" if self.digests.get(name, digest) == digest else "it is not what its receipt says"


def _copy(source: BinaryIO, into: Path) -> tuple[int, str]:
    digest = hashlib.sha256()
    octets = 0
    with into.open("wb") as out:
        while chunk := source.read(_CHUNK):
            digest.update(chunk)
            out.write(chunk)
            octets += len(chunk)
    return octets, digest.hexdigest()
