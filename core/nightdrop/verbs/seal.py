"""`nightdrop seal`."""

import argparse
from pathlib import Path

from nightdrop.errors import ExitStatus

DESCRIPTION = """
Encrypt a stream to one or more recipients: an envelope (CMS, RFC 5652 and 5083). Whoever holds the
private key of any one of them can open it, with `nightdrop open`, with `openssl cms -decrypt` (not
X25519 keys) and, sealed with aes-256-cbc to RSA keys, with `gpgsm --decrypt`. Streams of any length,
in constant memory.
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
        help="gcm also proves that nothing was altered (default); cbc is what gpgsm opens",
    )
    parser.add_argument(
        "--compress",
        choices=("zstd", "none"),
        default="zstd",
        help="compress before encrypting (default: zstd)",
    )
    parser.add_argument(
        "--rsa",
        choices=("pkcs1", "oaep"),
        default="pkcs1",
        help="how to encrypt to RSA keys: PKCS#1 v1.5 (default), or OAEP with SHA-256, not for gpgsm",
    )
    parser.add_argument(
        "--key-id",
        action="store_true",
        help="name recipients by subject key identifier instead of issuer and serial number",
    )
    parser.add_argument("-o", metavar="OUT", dest="output", default="-", help="default: standard output")
    parser.add_argument("input", metavar="IN", nargs="?", default="-", help="default: standard input")


def run(arguments: argparse.Namespace) -> ExitStatus:
    """Seal the input."""
    from nightdrop.envelope.entries import Addressing
    from nightdrop.envelope.recipients import load_recipients
    from nightdrop.envelope.sealing import Sealer
    from nightdrop.streams import input_stream, output_stream, pieces, written_behind

    given = [one for path in arguments.recipient for one in load_recipients(path)]
    recipients = list(dict.fromkeys(given))
    addressing = Addressing("key-id" if arguments.key_id else "issuer", arguments.rsa)
    compress = arguments.compress == "zstd"
    with (
        input_stream(arguments.input) as source,
        output_stream(arguments.output) as out,
        written_behind(out.write) as write,
    ):
        sealer = Sealer(write, recipients, arguments.cipher, compress, addressing=addressing)
        for piece in pieces(source):
            sealer.update(piece)
        sealer.finish()
    return ExitStatus.DONE
