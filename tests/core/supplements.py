"""What is read of a supplement, put together again."""

from io import BytesIO
from itertools import groupby

from nightdrop.supplement import Supplement, read_supplement


def parse_supplement(octets: bytes) -> Supplement:
    entries = list(read_supplement(BytesIO(octets)))
    linked = [entry for entry in entries if entry.group is not None]
    groups = groupby(linked, key=lambda entry: entry.group)
    return Supplement(
        tuple(tuple(entry.path for entry in group) for _, group in groups),
        tuple(entry.path for entry in entries if entry.group is None),
    )
