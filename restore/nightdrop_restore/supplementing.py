"""After duplicity: making hard links and holes again, as the supplement of the last set says."""

import os
from pathlib import Path
from typing import Final

from nightdrop.errors import EnvelopeError, NightdropError
from nightdrop.supplement import read_supplement
from nightdrop_restore.envelope.opening import open_envelope
from nightdrop_restore.envelope.unwrapping import Key
from nightdrop_restore.items import Index
from nightdrop_restore.manifests import opening_whole
from nightdrop_restore.noting import Notes
from nightdrop_restore.origin import Origin
from nightdrop_restore.writing.relinking import apply_supplement, kept

_LONGEST: Final = 256 * 1024 * 1024


def supplement_tree(work: Path, origin: Origin, folder: Path, below: bytes, notes: Notes) -> str:
    """Apply it to what was restored to `folder`, which is what was at `below`.

    What could not be made what it was is noted down. Gives what stood in the way of all of it, "" if
    nothing did.
    """
    name = origin.chain[-1].key.supplement_name
    if name not in origin.chain[-1].files or not os.path.lexists(folder):
        return ""
    sealed, plain = work / name, work / "supplement"
    try:
        origin.copies(notes.elsewhere).fetch(name, sealed, opening_whole(origin, name))
        _open(origin.key, sealed, plain)
        with plain.open("rb") as file:
            # All of it is read before any of it is done.
            supplement = kept(read_supplement(file), work)
    except NightdropError as error:
        return f"hard links and holes are not what they were: {error.message}"
    for path in apply_supplement(supplement, folder, below):
        notes.unlike(_index(path), "its hard links or holes are not what they were")
    return ""


def _open(key: Key, sealed: Path, plain: Path) -> None:
    with sealed.open("rb") as file, plain.open("wb") as out:

        def write(octets: bytes) -> None:
            if out.tell() + len(octets) > _LONGEST:
                raise EnvelopeError("it is longer than it could be")
            out.write(octets)

        open_envelope(file.read, write, [key])


def _index(path: bytes) -> Index:
    return tuple(path.split(b"/"))
