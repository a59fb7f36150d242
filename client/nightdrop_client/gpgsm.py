"""A stand-in for gpgsm: answers duplicity as gpgsm would, and seals with our own envelope code.

gpgsm itself never compresses, defaults to AES-128-CBC and runs at a tenth of the processor's speed.
duplicity starts this once a file. It can encrypt and nothing else: there is no key to decrypt with.
"""

import fcntl
import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import Final

from nightdrop.envelope.algorithms import CipherName
from nightdrop.envelope.recipients import load_recipients
from nightdrop.envelope.sealing import Octets, Sealer
from nightdrop.errors import NightdropError

VERSION_LINE: Final = b"gpgsm (GnuPG) 2.2.40 (Nightdrop's stand-in)\n"
"""What duplicity's pattern for the first line of `gpgsm --version` accepts."""

_READ = 256 * 1024
_PIPE_SIZE = 1024 * 1024


def write_script(path: Path, recipients: Path, cipher: CipherName, compress: bool) -> None:
    """Write the executable that duplicity is given as its gpgsm: this module, with these settings."""
    words = [sys.executable, "-I", "-m", __name__, str(recipients), cipher, str(int(compress))]
    quoted = " ".join("'" + word.replace("'", "'\\''") + "'" for word in words)
    path.write_text(f'#!/bin/sh\nexec {quoted} "$@"\n')
    path.chmod(0o700)


def main(words: list[str]) -> int:
    """Do what the words ask for, as gpgsm would; its exit status."""
    recipients, cipher, compress, *arguments = words
    if "--version" in arguments:
        os.write(1, VERSION_LINE)
        return 0
    if "--encrypt" not in arguments:
        print("gpgsm: this host can only encrypt", file=sys.stderr)
        return 2
    try:
        _seal(
            Path(recipients), "aes-256-cbc" if cipher == "aes-256-cbc" else "aes-256-gcm", compress == "1"
        )
    except (NightdropError, OSError) as error:
        print(f"gpgsm: {error}", file=sys.stderr)
        return 2
    return 0


def _seal(recipients: Path, cipher: CipherName, compress: bool) -> None:
    with suppress(OSError):
        fcntl.fcntl(0, fcntl.F_SETPIPE_SZ, _PIPE_SIZE)
    sealer = Sealer(_write, load_recipients(recipients), cipher, compress)
    # Small reads: duplicity takes a volume for full by what has been written of it so far.
    while piece := os.read(0, _READ):
        sealer.update(piece)
    sealer.finish()


def _write(octets: Octets) -> None:
    view = memoryview(octets)
    while view:
        view = view[os.write(1, view) :]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
