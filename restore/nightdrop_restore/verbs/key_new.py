"""`nightdrop key new`."""

import argparse
from pathlib import Path

from nightdrop.errors import ExitStatus, UsageError

DESCRIPTION = """
Make a recipient: a private key with a passphrase (DIR/key.pem, to be kept offline) and its certificate
(DIR/certificate.pem, for the mirrors and hosts). Whoever has lost the key or its passphrase cannot open
any backup made for it, and nobody can help; keep copies in two places.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    from nightdrop_restore.keys.reading import add_passphrase_arguments

    parser.add_argument("folder", metavar="DIR", type=Path, help="the folder for the two files")
    parser.add_argument("--name", required=True, help='whom the key belongs to, such as "backup admin"')
    parser.add_argument(
        "--type",
        choices=("rsa-4096", "ec-p384", "x25519"),
        default="rsa-4096",
        help="rsa-4096 is for openssl and gpgsm, too (default), ec-p384 for openssl and gpgsm 2.4; "
        "x25519 for neither",
    )
    add_passphrase_arguments(parser)


def run(arguments: argparse.Namespace) -> ExitStatus:
    """Make the key."""
    from nightdrop_restore.keys.making import new_key
    from nightdrop_restore.keys.prompting import ask_secret, can_ask
    from nightdrop_restore.keys.reading import ask_passphrase

    given = arguments.passphrase_file is not None or arguments.passphrase_fd is not None
    if given or not can_ask():
        passphrase = ask_passphrase(arguments.folder, arguments)()
    else:
        passphrase = ask_secret("new passphrase: ").encode()
        if ask_secret("the same again: ").encode() != passphrase:
            raise UsageError("the two passphrases differ", "nothing was made; try again")
    if not passphrase:
        raise UsageError("the passphrase is empty", "a key on paper or on a disk needs one")
    _require_fitting(arguments.name)
    key, certificate = new_key(arguments.folder, arguments.name, passphrase, arguments.type)
    print(f"private key: {key} (keep it offline, in two places)")
    print(f"certificate: {certificate} (goes to the mirrors)")
    return ExitStatus.DONE


def _require_fitting(name: str) -> None:
    """Refuse a name that no certificate can have."""
    try:
        octets = len(name.encode())
    except UnicodeEncodeError:
        octets = 0
    # As cryptography counts the 64 of RFC 5280, appendix A.1.
    if not 0 < octets <= 64:
        raise UsageError("--name has to be 1 to 64 octets long, as UTF-8")
