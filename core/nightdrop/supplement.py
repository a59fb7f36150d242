"""The supplement: what duplicity does not keep of a source (FORMAT.md, "Supplement").

duplicity stores each name of a hard-linked file as a file of its own and fills the holes of sparse
files. A set's supplement says which names were one file and which files had holes, so that restoring
can make them so again. Paths are octets; JSON cannot hold those, so they stand percent-encoded.
"""

import json
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote_from_bytes, unquote_to_bytes

from nightdrop.errors import NightdropError

FORMAT: Final = "nightdrop-supplement/1"


@dataclass(frozen=True)
class Supplement:
    """Paths below the root that was backed up, without a slash in front: groups of names that were
    one file, and files that had holes.
    """

    hard_links: tuple[tuple[bytes, ...], ...]
    sparse: tuple[bytes, ...]

    def __bool__(self) -> bool:
        return bool(self.hard_links or self.sparse)

    def to_bytes(self) -> bytes:
        """The supplement as it is sealed: JSON, ASCII."""
        fields = {
            "format": FORMAT,
            "hard_links": [[quote_from_bytes(path) for path in group] for group in self.hard_links],
            "sparse": [quote_from_bytes(path) for path in self.sparse],
        }
        return (json.dumps(fields, indent=0) + "\n").encode()


def parse_supplement(octets: bytes) -> Supplement:
    """Read a supplement; NightdropError if it is none."""
    try:
        fields = json.loads(octets)
        if fields["format"] != FORMAT:
            raise NightdropError(f"this supplement is not of the format {FORMAT}")
        return Supplement(
            tuple(tuple(_path(path) for path in group) for group in fields["hard_links"]),
            tuple(_path(path) for path in fields["sparse"]),
        )
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise NightdropError("this supplement cannot be read") from error


def _path(text: str) -> bytes:
    """A path out of a supplement, refused if it leads anywhere but down: it names a place to write."""
    path = unquote_to_bytes(text)
    if (
        path.startswith(b"/")
        or b"\0" in path
        or not all(part not in (b"", b".", b"..") for part in path.split(b"/"))
    ):
        raise ValueError(path)
    return path
