"""Where a restore takes its files from."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

from nightdrop_restore.envelope.unwrapping import Key
from nightdrop_restore.vaults.catalog import StoredSet
from nightdrop_restore.vaults.copies import Copies, Place
from nightdrop_restore.vaults.judging import JudgedSet

OnText = Callable[[str], object]


@dataclass(frozen=True)
class Origin:
    """The vaults, a host in them, the chain to restore, full first, what gives the key; and the sets
    newer than the chain that cannot be restored.
    """

    places: Sequence[Place]
    host: str
    chain: Sequence[JudgedSet]
    load_key: Callable[[], Key]
    passed_over: Sequence[StoredSet] = ()

    @cached_property
    def key(self) -> Key:
        """The key: its passphrase may have to be asked for, and takes time."""
        return self.load_key()

    @property
    def unsigned(self) -> dict[str, str]:
        """The names of sets in the chain that the host did not sign, as far as is known, and why not."""
        return {one.key.stem: one.unsigned for one in self.chain if one.unsigned}

    def copies(self, on_other: OnText) -> Copies:
        """The files of the chain; `on_other` is told which of them another vault than the first gave."""
        return Copies(self.places, self.host, self.digests(), on_other)

    def digests(self) -> dict[str, str]:
        """The SHA-256 of the chain's files, as far as there are receipts."""
        return {name: sha256 for one in self.chain for name, sha256 in one.digests.items()}

    @property
    def size(self) -> int:
        """Octets that restoring all of it reads: the volumes."""
        sizes = [item for one in self.chain for item in one.files.items()]
        return sum(size for name, size in sizes if name.endswith(".difftar.p7m"))
