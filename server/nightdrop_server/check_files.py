"""What the check wrote for others to read: the door's side hands it on as it is."""

from pathlib import Path
from typing import Final

from nightdrop_server import log

_LONGEST: Final = 64 * 1024 * 1024


def written_by_check(path: Path) -> bytes:
    """The contents of a file; nothing where there is none."""
    try:
        with path.open("rb") as file:
            return file.read(_LONGEST)
    except FileNotFoundError:
        return b""
    except OSError as error:
        log.trouble(f"{path}: {error.strerror}")
        return b""
