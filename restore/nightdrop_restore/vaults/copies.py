"""The copies of a host's files in one or several vaults: the first one that is what it has to be counts.

What a vault lacks, cannot read or has damaged is taken from the next, file by file, and said. One that
does not answer any more is asked last from then on: each time, it would be waited for.
"""

import hashlib
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from nightdrop.errors import VaultError
from nightdrop.vault import Vault
from nightdrop_restore.writing.room import NO_ROOM

Accept = Callable[[Path], str]
"""Looks at a fetched copy: "" if it is what it has to be, or what is wrong with it."""

_CHUNK = 1024 * 1024


def stored_digest(
    vault: Vault, host: str, name: str, on_read: Callable[[int], object] = lambda _octets: None
) -> str:
    """The SHA-256 (hex) of a host's file in a vault; VaultError or OSError if it cannot be read."""
    digest = hashlib.sha256()
    with vault.open(host, name) as file:
        while piece := file.read(_CHUNK):
            digest.update(piece)
            on_read(len(piece))
    return digest.hexdigest()


class SilentError(VaultError):
    """A vault does not answer, though it was asked again: it will not for the next file, either."""


@dataclass(frozen=True)
class Place:
    """A vault, and how messages name it."""

    name: str
    vault: Vault


Stored = Mapping[str, Sequence[tuple[Place, int]]]
"""Where each file of a set is, by its name, and its octets there."""


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
    _silent: dict[str, str] = field(default_factory=dict, init=False)

    def fetch(self, name: str, into: Path, accept: Accept | None = None) -> int:
        """Write the first good copy of a file to `into`; its octets. VaultError if there is none,
        SilentError if nobody answers any more, OSError if there is no room for it.

        Good is what `accept` says, or without it, what has the digest of its receipt, if it has one.
        """
        accept = accept or partial(self.unlike_receipt, name)
        wrong: dict[str, str] = {}
        for place in sorted(self.places, key=lambda place: place.name in self._silent):
            try:
                with place.vault.open(self.host, name) as source, into.open("wb") as out:
                    shutil.copyfileobj(source, out, _CHUNK)
                    octets = out.tell()
                self._silent.pop(place.name, None)
            except SilentError as error:
                self._silent[place.name] = str(error)
                continue
            except (VaultError, OSError) as error:
                if isinstance(error, OSError) and error.errno in NO_ROOM:
                    raise
                wrong[place.name] = f"{place.name}: {error}"
                continue
            reason = accept(into)
            if not reason:
                reasons = self._silent | wrong
                before = self.places[: self.places.index(place)]
                if passed := [reasons[one.name] for one in before if one.name in reasons]:
                    self.on_other(f"{name} taken from {place.name}; {'; '.join(passed)}")
                return octets
            wrong[place.name] = f"{place.name}: {reason}"
        if not wrong:
            raise SilentError("; ".join(self._silent.values()))
        raise VaultError(f"{self.host}/{name}: {'; '.join((self._silent | wrong).values())}")

    def unlike_receipt(self, name: str, path: Path) -> str:
        """What is wrong with a copy, as far as the receipt tells; "" if nothing."""
        if name not in self.digests:
            return ""
        with path.open("rb") as file:
            same = hashlib.file_digest(file, "sha256").hexdigest() == self.digests[name]
        return "" if same else "it is not what its receipt says"
