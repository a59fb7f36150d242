"""`nightdrop open`."""

import argparse

from nightdrop.errors import EnvelopeError, ExitStatus

DESCRIPTION = """
Decrypt an envelope with a private key, and undo the compression if it has one. Opens what `nightdrop
seal`, `openssl cms`, `openssl smime` and `gpgsm` made, as DER, PEM, base64 or S/MIME, of any length, in
constant memory.

With -o, nothing is left at OUT unless the whole message was authentic. To a pipe, what was written
before a failure was noticed is worth nothing: look at the exit status.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    from nightdrop_restore.keys.reading import add_key_arguments

    add_key_arguments(parser)
    parser.add_argument("--raw", action="store_true", help="do not undo any compression")
    parser.add_argument("-o", metavar="OUT", dest="output", default="-", help="default: standard output")
    parser.add_argument("input", metavar="IN", nargs="?", default="-", help="default: standard input")


def run(arguments: argparse.Namespace) -> ExitStatus:
    """Open the envelope."""
    from nightdrop.streams import input_stream, output_stream, written_behind
    from nightdrop_restore.envelope.opening import open_envelope
    from nightdrop_restore.keys.reading import ask_passphrase, load_key

    key = load_key(arguments.key, ask_passphrase(arguments.key, arguments))
    with (
        input_stream(arguments.input) as source,
        output_stream(arguments.output, 0o600) as out,
        written_behind(out.write) as write,
    ):
        try:
            open_envelope(source.read, write, [key], decompress=not arguments.raw)
        except EnvelopeError as error:
            where = "standard input" if arguments.input == "-" else arguments.input
            raise EnvelopeError(f"{where}: {error.message}", error.hint) from error
    return ExitStatus.DONE
