"""`nightdrop key paper`."""

import argparse
from pathlib import Path

from nightdrop.errors import ExitStatus, UsageError

DESCRIPTION = """
Write a private key as pages to print, a PDF or HTML: encrypted as it is, as QR codes and as text with a
checksum in every line, with its certificate, and how to get it back with stock tools. The passphrase is
not on the paper; it is asked for to see that it opens the key, so that no paper is kept that nobody
can use.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    from nightdrop_restore.keys.reading import add_passphrase_arguments

    parser.add_argument("key", metavar="KEY.pem", type=Path, help="the private key")
    parser.add_argument(
        "-o",
        metavar="FILE",
        dest="output",
        type=Path,
        required=True,
        help="FILE.pdf becomes a PDF, FILE.html a page for a browser",
    )
    add_passphrase_arguments(parser)


def run(arguments: argparse.Namespace) -> ExitStatus:
    """Write the paper."""
    from nightdrop.files import whole_file
    from nightdrop_restore.keys.reading import ask_passphrase
    from nightdrop_restore.paper.key_file import load_paper
    from nightdrop_restore.paper.page import to_page
    from nightdrop_restore.paper.pdf import to_pdf

    form = {".pdf": to_pdf, ".html": to_page, ".htm": to_page}.get(arguments.output.suffix.lower())
    if form is None:
        raise UsageError(
            f"{arguments.output}: its name does not tell whether it is to be a PDF or HTML",
            "let it end in .pdf or .html",
        )
    paper = load_paper(arguments.key, ask_passphrase(arguments.key, arguments))
    with whole_file(arguments.output, 0o600) as file:
        file.write(form(paper))
    print(f"the paper: {arguments.output}; print it twice, and then delete it")
    return ExitStatus.DONE
