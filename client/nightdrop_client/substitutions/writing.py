"""Writing volumes (by a sampled profile, 0.3 s of a full) and the local copy of signatures (0.2 s)."""

import gzip
import os
import sys
from typing import Any, Final

from duplicity import dup_temp, errors, gpg, util
from duplicity.path import Path

_TOGETHER: Final = 128 * 1024
_write_gzip = gpg.GzipWriteFile


def install() -> None:
    """Put these pieces in place."""
    gpg.GPGWriteFile = _write_volume
    gpg.GzipWriteFile = _write_compressed
    dup_temp.FileobjHooked.flush = _flush


def _write_volume(
    blocks: Any,
    name: bytes,
    profile: Any,
    size: int = 200 * 1024 * 1024,
    max_footer_size: int = 16 * 1024,
) -> bool:
    """Stands for GPGWriteFile: looks at the volume's size, and wakes the sealer, once for many blocks."""
    target = size - 50 * 1024
    most = target - max_footer_size - blocks.get_read_size()
    file = gpg.GPGFile(True, Path(name), profile)
    ended = False
    try:
        while not ended and os.stat(name).st_size <= most:
            parts, octets = [], 0
            while octets < _TOGETHER:
                try:
                    data = next(blocks).data
                except StopIteration:
                    ended = True
                    break
                # Whatever it is, as in the original: it ends the run, and this says at which volume.
                except Exception as error:
                    raise errors.FatalError(f"Read error on {os.fsdecode(name)}: {error}") from error
                parts.append(data)
                octets += len(data)
            file.write(b"".join(parts))
        file.write(blocks.get_footer())
        if not ended and (lacking := target - os.stat(name).st_size) > 0:
            with open(name, "rb") as sealed:
                assert util.copyfileobj(sealed, file.gpg_input, lacking) == lacking
    finally:
        file.close()
    return ended


def _write_compressed(blocks: Any, name: bytes, size: int, gzipped: bool = True) -> bool:
    """Stands for GzipWriteFile, which the local copy of signatures is written by: they are digests,
    on which more than the least effort is lost.
    """
    if size < sys.maxsize or not gzipped:
        return bool(_write_gzip(blocks, name, size, gzipped))
    with open(name, "wb") as file, gzip.GzipFile(None, "wb", 1, file) as out:
        while True:
            try:
                out.write(next(blocks).data)
            except StopIteration:
                return True


def _flush(self: Any) -> None:
    """Stands for FileobjHooked.flush, which after each volume has what is known of the set put on the
    disk, for a restart of it. An interrupted set is never restarted.
    """
    self.fileobj.flush()
