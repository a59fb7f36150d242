"""What a disk, or somebody on it, does to a file."""

import os
from pathlib import Path


def cut(path: Path, by: int = 100) -> None:
    """Take so many octets off its end."""
    os.truncate(path, path.stat().st_size - by)


def flip(path: Path, at: int = -30) -> None:
    """Turn one bit of the octet there."""
    octets = bytearray(path.read_bytes())
    octets[at] ^= 1
    path.write_bytes(octets)


def append(path: Path, octets: bytes) -> None:
    """Have it go on."""
    path.write_bytes(path.read_bytes() + octets)
