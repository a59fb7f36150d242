"""The certificates that a host signs its receipts with.

Nothing else tells a backup that the host made from one that somebody else sealed to the same key: a
mirror that lies, or a thief of the host's password. The certificates to go by are given by whoever
restores; those that lie in a vault prove nothing.
"""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from nightdrop.signatures import load_signers, read_signers

if TYPE_CHECKING:
    from cryptography.x509 import Certificate


def add_signer_argument(parser: argparse.ArgumentParser) -> None:
    """Declare --signer."""
    parser.add_argument(
        "--signer",
        metavar="CERT.crt",
        dest="signers",
        type=Path,
        action="append",
        default=[],
        help="the host's signing certificate: sets that it did not sign are told; several are possible",
    )


def signers_of(arguments: argparse.Namespace) -> tuple["Certificate", ...]:
    """The certificates that the arguments name; ConfigurationError for a file that is none."""
    return tuple(
        signer
        for path in arguments.signers
        for pem in read_signers(path)
        for signer in load_signers(pem, str(path))
    )
