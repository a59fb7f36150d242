"""`nightdrop key read`."""

import argparse
from pathlib import Path

from nightdrop.errors import ExitStatus

DESCRIPTION = """
Make a key out of the lines on its paper: typed, or scanned from the QR codes (`zbarimg -q --raw *.png`),
in any order. Says which lines are wrong or missing. DIR/key.pem is as encrypted as it was.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument("folder", metavar="DIR", type=Path, help="the folder for the key")
    parser.add_argument(
        "lines", metavar="FILE", nargs="*", default=["-"], help="the lines (default: standard input)"
    )


def run(arguments: argparse.Namespace) -> ExitStatus:
    """Read the lines, and make the key."""
    from nightdrop.streams import input_stream
    from nightdrop_restore.keys.making import write_recipient
    from nightdrop_restore.paper.key_file import key_files
    from nightdrop_restore.paper.lines import from_lines

    texts = []
    for name in arguments.lines:
        with input_stream(name) as file:
            texts += file.readall().decode("utf-8", "replace").splitlines()
    found = from_lines(texts)
    key, certificate = key_files(found["K"], found.get("C", b""))
    paths = write_recipient(arguments.folder, key, certificate)
    print(f"private key: {paths[0]}")
    if certificate:
        print(f"certificate: {paths[1]}")
    else:
        print("no line of the certificate was given: a key of several recipients may need it")
    return ExitStatus.DONE
