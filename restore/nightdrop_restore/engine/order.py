"""What the restoring duplicity process is told: from where it restores, and what of it."""

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Final

from nightdrop.names import SetType

URL: Final = "nightdrop:///vault"
"""What duplicity is told to restore from."""


@dataclass(frozen=True)
class Order:
    """What to restore from: where the vaults are and what the key is, the host, the sets of the chain,
    the names of their files, the SHA-256 of those that have one, the paths of those that are here
    already. What duplicity is told to do, and where its stand-in for gpgsm is to be.

    What is wanted (the fields of a Choice), which owners become others, and the descriptor that takes all
    there is to write; or without one, where a list of the files goes.
    """

    vaults: Sequence[Mapping[str, object]]
    key: str
    host: str
    chain: list[tuple[str, str, SetType, str]]
    names: list[str]
    digests: dict[str, str]
    here: dict[str, str]
    arguments: list[str]
    stand_in: str
    paths: Sequence[str] = ()
    find: Sequence[str] = ()
    strip: int = 0
    users: dict[str, int] = field(default_factory=dict)
    groups: dict[str, int] = field(default_factory=dict)
    out: int | None = None
    listing: str = ""

    def to_bytes(self) -> bytes:
        """The order as it goes through a pipe: passwords and a key are in it, so it is in no file."""
        return json.dumps(asdict(self)).encode()


def read_order() -> Order:
    """The order that comes through standard input; SystemExit if whoever was to give it is gone."""
    octets = sys.stdin.buffer.read()
    if not octets:
        sys.exit(1)
    return Order(**json.loads(octets))
