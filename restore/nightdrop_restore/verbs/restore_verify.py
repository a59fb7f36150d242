"""`nightdrop restore verify`."""

import argparse
import json
import threading
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from nightdrop.errors import ExitStatus
from nightdrop.text import count, format_duration, format_size, harmless

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cryptography.x509 import Certificate

    from nightdrop.progress import ProgressLine
    from nightdrop_restore.envelope.unwrapping import Key
    from nightdrop_restore.vaults.copies import Place
    from nightdrop_restore.verifying import Verdict

DESCRIPTION = """
Open every envelope in the vaults to its end and compare it with its receipt. Nothing is written. Of
several VAULTs, each is looked at for itself. The exit status is 3 if anything is not as it should be.

Where old sets are sealed to a key that is no longer in use, give that key, too.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    from nightdrop_restore.keys.reading import add_passphrase_arguments
    from nightdrop_restore.vaults.addresses import add_hosts_argument, add_vault_arguments
    from nightdrop_restore.vaults.signers import add_signer_argument

    add_vault_arguments(parser, "of several, each is looked at for itself")
    add_hosts_argument(parser)
    parser.add_argument(
        "--key", metavar="KEY.pem", dest="keys", type=Path, action="append", required=True,
        help="a private key; several are possible",
    )  # fmt: skip
    add_passphrase_arguments(parser)
    add_signer_argument(parser)
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(arguments: argparse.Namespace) -> ExitStatus:
    """Verify."""
    from nightdrop.progress import ProgressLine
    from nightdrop_restore.keys.reading import ask_passphrase, load_key
    from nightdrop_restore.vaults.addresses import places_of, require_backups
    from nightdrop_restore.vaults.catalog import hosts_of
    from nightdrop_restore.vaults.signers import signers_of

    begun = time.monotonic()
    signers = signers_of(arguments)
    places = places_of(arguments, arguments.vaults)
    work = [(place, host) for place in places for host in hosts_of([place], arguments.hosts)]
    require_backups(places, [host for _place, host in work])
    keys = [load_key(path, ask_passphrase(path, arguments)) for path in arguments.keys]
    files, size, problems = 0, 0, 0
    with ProgressLine() as line:
        if arguments.json:
            print('{"problems": [', end="")
        for verdict in _verdicts(work, keys, signers, line):
            size += verdict.size
            files += bool(verdict.size or not verdict.problem)
            if verdict.problem:
                # At once: those of a vault in which everything was made to be wrong fill any memory.
                line.clear()
                if arguments.json:
                    print(", " if problems else "", json.dumps(asdict(verdict)), sep="", end="")
                else:
                    where = f"{verdict.vault}: " if len(places) > 1 else ""
                    print(harmless(f"{where}{verdict.host}/{verdict.name}: {verdict.problem}", 1000))
                problems += 1
    seconds = time.monotonic() - begun
    if arguments.json:
        hosts = sorted({host for _place, host in work})
        facts = {"hosts": hosts, "files": files, "size": size, "seconds": round(seconds, 1)}
        print(f"], {json.dumps(facts)[1:]}")
    else:
        print(
            f"{count(files, 'file')}, {format_size(size)}, opened to the end in "
            f"{format_duration(seconds)}; "
            f"{count(problems, 'problem') if problems else 'all as they should be'}"
        )
    return ExitStatus.PARTIAL if problems else ExitStatus.DONE


def _verdicts(
    work: "list[tuple[Place, str]]",
    keys: "list[Key]",
    signers: "tuple[Certificate, ...]",
    line: "ProgressLine",
) -> "Iterator[Verdict]":
    """All verdicts, one host after the other, while the line tells how far it is."""
    from nightdrop_restore.progressing import Pace
    from nightdrop_restore.vaults.catalog import catalogue
    from nightdrop_restore.verifying import verify

    total = sum(one.size for place, host in work for one in catalogue([place], host))
    pace, lock, read = Pace(total), threading.Lock(), 0

    def on_read(octets: int) -> None:
        nonlocal read
        with lock:
            read += octets
            line.show(f"{format_size(read)} of {format_size(total)}{pace.left(read)}")

    for place, host in work:
        yield from verify(place, host, catalogue([place], host), keys, signers=signers, on_read=on_read)
