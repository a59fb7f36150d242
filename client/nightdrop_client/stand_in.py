"""Which stand-in for gpgsm duplicity is given, and with what settings.

It is `gpgsm.py`. Who only says so need not import that: sealing stands on a large library.
"""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from nightdrop.engine.stand_in import write_script

_ENOUGH_FOR_TWO: Final = 50_000_000
"""The volume size from which two threads compress: they hold a few megabytes back."""


def settings(recipients: Path, cipher: str, compress: bool, volume_size: int) -> list[str]:
    """What the stand-in is told before gpgsm's own arguments; `volume_size` is in octets."""
    threads = min(2, os.cpu_count() or 1) if volume_size >= _ENOUGH_FOR_TWO else 1
    return [str(recipients), cipher, str(threads if compress else 0)]


def write_gpgsm(path: Path, words: Sequence[str]) -> None:
    """Write the executable that duplicity is given as its gpgsm, with these settings."""
    write_script(path, "nightdrop_client.gpgsm", words)
