"""Whether receipts are signed by the host whose they are.

Nothing else tells a backup that the host made from one that somebody else sealed to the same key: a
mirror that lies, or a thief of the host's password. The certificates to go by are given by whoever
restores; those that lie in a vault prove nothing.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from nightdrop.errors import ReceiptError, SignatureError, VaultError
from nightdrop.receipts import MAX_SIZE, parse_receipt
from nightdrop.signatures import LONGEST, load_signers, read_signers, verify
from nightdrop.vault import Vault
from nightdrop_restore.catalog import VaultSet

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


def unsigned(
    vaults: Sequence[Vault], host: str, sets: Sequence[VaultSet], signers: tuple["Certificate", ...]
) -> dict[str, str]:
    """The names of sets whose receipts none of these signed, and why not; {} where no signer is given."""
    reasons = {one.key.stem: _reason(vaults, host, one, signers) for one in sets} if signers else {}
    return {stem: reason for stem, reason in reasons.items() if reason}


def _reason(vaults: Sequence[Vault], host: str, one: VaultSet, signers: tuple["Certificate", ...]) -> str:
    """Why the receipt that a set's files are compared with is not signed; "" if it is."""
    reason = "there is no receipt"
    for vault in vaults:
        try:
            octets = _read(vault, host, one.key.receipt_name, MAX_SIZE)
            if one.receipt is None or parse_receipt(octets, one.key, host) != one.receipt:
                continue
            reason = "there is no signature"
            verify(_read(vault, host, one.key.signature_name, LONGEST), octets, signers)
        except SignatureError as error:
            reason = error.message
        except (VaultError, ReceiptError, OSError):
            continue
        else:
            return ""
    return reason


def _read(vault: Vault, host: str, name: str, most: int) -> bytes:
    """The octets of a file, and one more than `most` where there are more."""
    with vault.open(host, name) as file:
        return file.read(most + 1)
