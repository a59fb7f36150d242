"""Where file systems are mounted."""

import os
import re
from pathlib import Path


def mount_points() -> list[str]:
    """Where file systems are mounted (proc(5), /proc/pid/mountinfo)."""
    # Of all that parts words and lines elsewhere, the kernel escapes only what parts them here.
    lines = Path("/proc/self/mountinfo").read_bytes().removesuffix(b"\n").split(b"\n")
    return sorted({os.fsdecode(_unescaped(line.split(b" ")[4])) for line in lines} - {"/"})


def _unescaped(path: bytes) -> bytes:
    return re.sub(rb"\\([0-7]{3})", lambda octal: bytes([int(octal[1], 8)]), path)
