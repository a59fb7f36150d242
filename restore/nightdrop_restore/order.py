"""What the restoring duplicity process is told, in a file: from where it restores, and what of it."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from nightdrop.names import SetType

URL: Final = "nightdrop:///vault"
"""What duplicity is told to restore from."""


@dataclass(frozen=True)
class Order:
    """What to restore from: the descriptors that say where the vaults are and what the key is, the host,
    the sets of the chain, the names of their files, the SHA-256 of those that have one, the paths of
    those that are here already. What is wanted of it (the fields of a Choice), which owners become
    others, and the descriptor that takes all there is to write; where a list of the files goes, if that
    is what is wanted; and duplicity's arguments.
    """

    vaults: int
    key: int
    host: str
    chain: list[tuple[str, str, SetType, str]]
    names: list[str]
    digests: dict[str, str]
    here: dict[str, str]
    paths: Sequence[str]
    find: Sequence[str]
    strip: int
    users: dict[str, int]
    groups: dict[str, int]
    out: int | None
    listing: str
    arguments: list[str]

    def write(self, path: Path) -> None:
        """Write the order to a file."""
        path.write_text(json.dumps(asdict(self)))

    @classmethod
    def read(cls, path: Path) -> "Order":
        """The order in a file."""
        return cls(**json.loads(path.read_text()))
