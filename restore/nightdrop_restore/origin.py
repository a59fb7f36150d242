"""Where a restore takes its files from."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from nightdrop_restore.catalog import VaultSet
from nightdrop_restore.copies import Copies, Place
from nightdrop_restore.unwrapping import Key

OnText = Callable[[str], object]


@dataclass(frozen=True)
class Origin:
    """The vaults, a host in them, the chain to restore, full first, the key; the sets newer than the
    chain that cannot be restored; and the names of sets in the chain whose receipts the host did not
    sign, as far as its signers are known, and what is wrong with them.
    """

    places: Sequence[Place]
    host: str
    chain: Sequence[VaultSet]
    key: Key
    passed_over: Sequence[VaultSet] = ()
    unsigned: Mapping[str, str] = field(default_factory=dict)

    def copies(self, on_other: OnText) -> Copies:
        """The files of the chain; `on_other` is told which of them another vault than the first gave."""
        return Copies(self.places, self.host, self.digests(), on_other)

    def digests(self) -> dict[str, str]:
        """The SHA-256 of the chain's files, as far as there are receipts."""
        receipts = [one.receipt for one in self.chain if one.receipt is not None]
        return {file.name: file.sha256 for receipt in receipts for file in receipt.files}

    @property
    def size(self) -> int:
        """Octets that restoring all of it reads: the volumes."""
        sizes = [item for one in self.chain for item in one.files.items()]
        return sum(size for name, size in sizes if name.endswith(".difftar.p7m"))
