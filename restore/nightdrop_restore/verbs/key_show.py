"""`nightdrop key show`."""

import argparse
from pathlib import Path

from nightdrop.errors import ExitStatus

DESCRIPTION = """
Describe the recipients in a file of certificates, or the one whose key is in a key.pem, which takes no
passphrase: name, fingerprint (SHA-256), how envelopes name it, and until when the
certificate is valid.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument(
        "certificate", metavar="CERT.pem", type=Path, help="certificates in PEM, or a key.pem"
    )


def run(arguments: argparse.Namespace) -> ExitStatus:
    """Describe each recipient."""
    from cryptography import x509

    from nightdrop.envelope.recipients import load_recipients, parse_recipients
    from nightdrop.files import read_short
    from nightdrop_restore.keys.reading import certificates_in

    path: Path = arguments.certificate
    # Where nobody is to seal to it, a private key beside a certificate is as it should be.
    certificates = b"".join(certificates_in(read_short(path))) if path.is_file() else b""
    recipients = parse_recipients(certificates, str(path)) if certificates else load_recipients(path)
    for recipient in recipients:
        valid = x509.load_der_x509_certificate(recipient.certificate).not_valid_after_utc
        print(recipient.name)
        print(f"  fingerprint  {recipient.fingerprint}")
        for identifier in sorted(map(str, recipient.ids)):
            print(f"  known as     {identifier}")
        print(f"  valid until  {valid:%Y-%m-%d}")
    return ExitStatus.DONE
