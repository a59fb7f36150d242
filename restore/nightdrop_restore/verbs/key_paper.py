"""`nightdrop key paper`."""

import argparse
from pathlib import Path

from nightdrop.errors import ExitStatus

DESCRIPTION = """
Write a private key as a page to print (HTML): encrypted as it is, as QR codes and as text with a checksum
in every line, with its certificate, and how to get it back with stock tools. The passphrase is not on
the page; it is asked for to see that it opens the key, so that no paper is kept that nobody can use.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    from nightdrop_restore.keys import add_passphrase_arguments

    parser.add_argument("key", metavar="KEY.pem", type=Path)
    parser.add_argument("-o", metavar="FILE.html", dest="output", type=Path, required=True)
    add_passphrase_arguments(parser)


def run(arguments: argparse.Namespace) -> ExitStatus:
    """Write the page."""
    from nightdrop.files import whole_file
    from nightdrop_restore.keys import ask_passphrase
    from nightdrop_restore.paper_key import load_paper
    from nightdrop_restore.paper_page import to_page

    paper = load_paper(arguments.key, ask_passphrase(arguments.key, arguments))
    page = to_page(paper).encode()
    with whole_file(arguments.output, 0o600) as file:
        file.write(page)
    print(f"the page: {arguments.output}; print it twice, and then delete it")
    return ExitStatus.DONE
