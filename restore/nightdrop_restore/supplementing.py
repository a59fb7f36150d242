"""After duplicity: making hard links and holes again, as the supplement of the last set says."""

import os
from pathlib import Path

from nightdrop.errors import NightdropError
from nightdrop.supplement import parse_supplement
from nightdrop_restore.manifests import opened, opening
from nightdrop_restore.origin import OnText, Origin
from nightdrop_restore.relinking import apply_supplement


def supplement_tree(
    work: Path, origin: Origin, folder: Path, below: bytes, on_other: OnText
) -> tuple[list[bytes], str]:
    """Apply it to what was restored to `folder`, which is what was at `below`.

    Gives the paths that could not be made what they were, and what stood in the way of all of it, "" if
    nothing did.
    """
    name = origin.chain[-1].key.supplement_name
    if name not in origin.chain[-1].files or not os.path.lexists(folder):
        return [], ""
    copies = origin.copies(on_other)
    try:
        copies.fetch(name, work / name, opening(origin, copies, name))
        supplement = parse_supplement(opened(origin.key, work / name))
    except NightdropError as error:
        return [], f"hard links and holes are not what they were: {error.message}"
    return apply_supplement(supplement, folder, below), ""
