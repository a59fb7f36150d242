"""A stand-in for gpgsm: seals with our own envelope code what duplicity sends through gpgsm.

gpgsm itself never compresses, defaults to AES-128-CBC and runs at a tenth of the processor's speed.
This one can encrypt and nothing else: there is no key to decrypt with.
"""

import sys
from collections.abc import Sequence
from io import FileIO
from pathlib import Path
from typing import Final

from nightdrop.engine.stand_in import PIPE, answer, write_all
from nightdrop.envelope.recipients import Recipient, load_recipients
from nightdrop.envelope.sealing import Sealer
from nightdrop.streams import pieces, written_behind

# duplicity ends a volume when enough has come out, so what is held back here makes it larger.
SEGMENT: Final = 128 * 1024
"""Octets of ciphertext in each segment."""


def main(words: Sequence[str]) -> int:
    """Do what the words ask for, as gpgsm would; its exit status. The first are `stand_in.settings`."""
    recipients, cipher, threads, *arguments = words
    return seal(load_recipients(Path(recipients)), cipher, int(threads), arguments)


def seal(recipients: Sequence[Recipient], cipher: str, threads: int, arguments: Sequence[str]) -> int:
    """Seal standard input to standard output, if gpgsm's arguments ask for that; the exit status.

    So many threads compress; 0 for no compression.
    """

    def act() -> None:
        with written_behind(write_all) as write:
            sealer = Sealer(
                write,
                recipients,
                "aes-256-cbc" if cipher == "aes-256-cbc" else "aes-256-gcm",
                threads > 0,
                segment=SEGMENT,
                threads=threads,
            )
            for piece in pieces(FileIO(0, closefd=False), SEGMENT):
                sealer.update(piece)
            sealer.finish()

    # Like all that is held back, what waits in the pipe makes a volume larger.
    return answer(arguments, "--encrypt", act, PIPE if threads > 1 else SEGMENT)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
