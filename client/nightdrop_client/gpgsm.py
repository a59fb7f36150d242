"""A stand-in for gpgsm: seals with our own envelope code what duplicity sends through gpgsm.

gpgsm itself never compresses, defaults to AES-128-CBC and runs at a tenth of the processor's speed.
This one can encrypt and nothing else: there is no key to decrypt with.
"""

import sys
from io import FileIO
from pathlib import Path
from typing import Final

from nightdrop.engine.stand_in import answer, write_all, write_script
from nightdrop.envelope.algorithms import CipherName
from nightdrop.envelope.recipients import load_recipients
from nightdrop.envelope.sealing import Sealer
from nightdrop.streams import pieces, written_behind

# duplicity ends a volume when enough has come out, so what is held back here makes it larger.
SEGMENT: Final = 128 * 1024
"""Octets of ciphertext in each segment."""


def write_gpgsm(path: Path, recipients: Path, cipher: CipherName, compress: bool) -> None:
    """Write the executable that duplicity is given as its gpgsm."""
    write_script(path, __name__, [str(recipients), cipher, "zstd" if compress else "none"])


def main(words: list[str]) -> int:
    """Do what the words ask for, as gpgsm would; its exit status."""
    recipients, cipher, compress, *arguments = words

    def seal() -> None:
        with written_behind(write_all) as write:
            sealer = Sealer(
                write,
                load_recipients(Path(recipients)),
                "aes-256-cbc" if cipher == "aes-256-cbc" else "aes-256-gcm",
                compress == "zstd",
                segment=SEGMENT,
            )
            for piece in pieces(FileIO(0, closefd=False), SEGMENT):
                sealer.update(piece)
            sealer.finish()

    return answer(arguments, "--encrypt", seal)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
