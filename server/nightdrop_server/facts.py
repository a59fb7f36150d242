"""What a mirror knows of each of its hosts: how much it keeps, and when something last came.

Names, sizes and times only; whether the backups are any good is for the check to say. A host that
cannot be looked at does not hide the others.
"""

import os
import time
from dataclasses import dataclass
from typing import Final

from nightdrop.enrolment import EnrolledHost, load_host
from nightdrop.errors import ConfigurationError, NightdropError
from nightdrop.ledger import Drop, Ledger
from nightdrop.mirror import Mirror
from nightdrop.names import is_host_name, parse_name
from nightdrop.vault import FolderVault, StoredFile

_SETTLED: Final = 5.0
_Seen = tuple[int, int]


@dataclass(frozen=True)
class Kept:
    """What a host has in the vault: how many files, their octets, and when the last of them came; when
    the last receipt did, which set it is of, and the octets of that set. Times are epoch seconds by
    the mirror's clock, None where nothing came.
    """

    files: int
    size: int
    last_drop: float | None
    last_receipt: float | None
    last_set: str
    last_set_size: int


@dataclass(frozen=True)
class HostFacts:
    """A host: how it is enrolled (None: it is not, or that cannot be read), what it keeps (None: that
    cannot be looked at), and what the matter is ("": nothing).
    """

    name: str
    enrolled: EnrolledHost | None
    kept: Kept | None
    trouble: str


class Facts:
    """The facts of one mirror's hosts, for asking often: a folder that did not change is not read again.

    Safe to share between threads.
    """

    def __init__(self, mirror: Mirror, vault: FolderVault, ledger: Ledger) -> None:
        self._mirror = mirror
        self._vault = vault
        self._ledger = ledger
        self._known: dict[str, tuple[_Seen, Kept]] = {}

    def all(self) -> list[HostFacts]:
        """Every host that is enrolled or has a folder in the vault, sorted by name; VaultError if the
        vault cannot be looked at.
        """
        enrolled = set()
        if self._mirror.hosts.is_dir():
            enrolled = {path.stem for path in self._mirror.hosts.iterdir() if path.suffix == ".toml"}
        folders = set(filter(is_host_name, self._vault.hosts()))
        return [self._host(name, name in enrolled) for name in sorted(enrolled | folders)]

    def _host(self, name: str, is_enrolled: bool) -> HostFacts:
        enrolled, kept, troubles = None, None, []
        if is_enrolled:
            try:
                enrolled = load_host(self._mirror.hosts / f"{name}.toml")
            except ConfigurationError as error:
                troubles.append(error.message)
        else:
            troubles.append("not enrolled")
        try:
            kept = self._kept(name)
        except NightdropError as error:
            troubles.append(error.message)
        except OSError as error:
            troubles.append(f"cannot look at {self._vault.root / name}: {error.strerror}")
        return HostFacts(name, enrolled, kept, "; ".join(troubles))

    def _kept(self, name: str) -> Kept:
        now = time.time()
        with self._vault.folder(name) as folder:
            status = os.fstat(folder)
        seen = status.st_ino, status.st_mtime_ns
        known = self._known.get(name)
        if known is not None and known[0] == seen:
            return known[1]
        kept = _kept(self._vault.list(name), self._ledger.drops(name))
        # The file system's clock ticks: within a tick another file may come, and the time stay the same.
        # And the ledger is a moment behind the folder.
        if abs(now - status.st_mtime) > _SETTLED:
            self._known[name] = seen, kept
        return kept


def received(file: StoredFile, drops: dict[str, Drop]) -> float:
    """When a file came (epoch seconds), by the records of its host's."""
    # A file's own time is when it came, unless something touched it since.
    drop = drops.get(file.name)
    return drop.received if drop else file.changed


def _kept(files: list[StoredFile], drops: dict[str, Drop]) -> Kept:
    regular = [file for file in files if file.regular]
    names = {file.name: parsed for file in regular if (parsed := parse_name(file.name))}
    receipts = [file for file in regular if file.name in names and names[file.name].part == "receipt"]
    came = {file.name: received(file, drops) for file in regular}
    last = max(receipts, key=lambda file: came[file.name], default=None)
    last_set = names[last.name].set if last else None
    return Kept(
        files=len(regular),
        size=sum(file.size for file in regular),
        last_drop=max(came.values(), default=None),
        last_receipt=came[last.name] if last else None,
        last_set=last_set.stem if last_set else "",
        last_set_size=sum(f.size for f in regular if f.name in names and names[f.name].set == last_set),
    )
