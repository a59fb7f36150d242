"""Whether a folder takes files: asked before anything is begun that would end there."""

import os
from pathlib import Path


def is_writable(folder: Path) -> bool:
    """Whether something can be made in a folder, by whoever we are."""
    return os.access(folder, os.W_OK | os.X_OK)
