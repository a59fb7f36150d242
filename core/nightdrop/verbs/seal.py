"""`nightdrop seal`."""

import argparse
from pathlib import Path

from nightdrop.errors import ExitStatus

DESCRIPTION = """
Encrypt a stream to one or more recipients: an envelope (CMS, RFC 5652 and 5083). Whoever holds the
private key of any one of them can open it, with `nightdrop open`, with `openssl cms -decrypt`
and, sealed with aes-256-cbc, with `gpgsm --decrypt`. Streams of any length, in constant memory.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument(
        "--recipient",
        metavar="CERT.pem",
        action="append",
        required=True,
        type=Path,
        help="certificate to encrypt to; may be given more than once",
    )
    parser.add_argument(
        "--cipher",
        choices=("aes-256-gcm", "aes-256-cbc"),
        default="aes-256-gcm",
        help="gcm also proves that nothing was altered (default); cbc is what gpgsm before 2.4 opens",
    )
    parser.add_argument(
        "--compress",
        choices=("zstd", "none"),
        default="zstd",
        help="compress before encrypting (default: zstd)",
    )
    parser.add_argument("-o", metavar="OUT", dest="output", default="-", help="default: standard output")
    parser.add_argument("input", metavar="IN", nargs="?", default="-", help="default: standard input")


def run(arguments: argparse.Namespace) -> ExitStatus:
    """Seal the input."""
    from nightdrop.envelope.recipients import load_recipients
    from nightdrop.envelope.sealing import Sealer
    from nightdrop.files import input_stream, output_stream, pieces

    recipients = [one for path in arguments.recipient for one in load_recipients(path)]
    with input_stream(arguments.input) as source, output_stream(arguments.output) as out:
        sealer = Sealer(out.write, recipients, arguments.cipher, arguments.compress == "zstd")
        for piece in pieces(source):
            sealer.update(piece)
        sealer.finish()
    return ExitStatus.DONE
