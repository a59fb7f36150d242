"""Where file systems are mounted."""

import re
from pathlib import Path


def mount_points() -> list[str]:
    """Where file systems are mounted (proc(5), /proc/pid/mountinfo)."""
    lines = Path("/proc/self/mountinfo").read_text(errors="surrogateescape").splitlines()
    return sorted({_unescaped(line.split()[4]) for line in lines} - {"/"})


def _unescaped(path: str) -> str:
    return re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), path)
