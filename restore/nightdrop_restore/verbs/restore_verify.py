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
    from nightdrop_restore.catalog import VaultSet
    from nightdrop_restore.copies import Place
    from nightdrop_restore.unwrapping import Key
    from nightdrop_restore.verifying import Verdict

DESCRIPTION = """
Open every envelope in the vaults to its end and compare it with its receipt. Nothing is written. Of
several VAULTs, each is looked at for itself. The exit status is 3 if anything is not as it should be.

Where old sets are sealed to a key that is no longer in use, give that key, too.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    from nightdrop_restore.addresses import VAULT_HELP, add_hosts_argument, add_listener_arguments
    from nightdrop_restore.keys import add_passphrase_arguments
    from nightdrop_restore.signers import add_signer_argument

    parser.add_argument("vaults", metavar="VAULT", nargs="+", help=VAULT_HELP)
    add_listener_arguments(parser)
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
    from nightdrop_restore.addresses import places_of
    from nightdrop_restore.catalog import catalogue
    from nightdrop_restore.keys import ask_passphrase, load_key
    from nightdrop_restore.signers import signers_of
    from nightdrop_restore.verifying import Verdict

    begun = time.monotonic()
    work, signers = [], signers_of(arguments)
    for place in places_of(arguments, arguments.vaults):
        for host in arguments.hosts or place.vault.hosts():
            work.append((place, host, catalogue([place], host, signers)))
    keys = [load_key(path, ask_passphrase(path, arguments)) for path in arguments.keys]
    verdicts = _verify(work, keys) + [
        Verdict(place.name, host, one.key.stem, 0, f"the host did not sign it: {one.unsigned}")
        for place, host, sets in work
        for one in sets
        if one.unsigned
    ]
    problems = [verdict for verdict in verdicts if verdict.problem]
    seconds, size = time.monotonic() - begun, sum(verdict.size for verdict in verdicts)
    files = len([verdict for verdict in verdicts if verdict.size or not verdict.problem])
    if arguments.json:
        facts = {
            "hosts": sorted({host for _place, host, _sets in work}),
            "files": files,
            "size": size,
            "seconds": round(seconds, 1),
            "problems": [asdict(verdict) for verdict in problems],
        }
        print(json.dumps(facts, indent=1))
    else:
        for verdict in problems:
            where = f"{verdict.vault}: " if len(arguments.vaults) > 1 else ""
            print(harmless(f"{where}{verdict.host}/{verdict.name}: {verdict.problem}", 1000))
        print(
            f"{count(files, 'file')}, {format_size(size)}, opened to the end in "
            f"{format_duration(seconds)}; "
            f"{count(len(problems), 'problem') if problems else 'all as they should be'}"
        )
    return ExitStatus.PARTIAL if problems else ExitStatus.DONE


def _verify(work: "list[tuple[Place, str, list[VaultSet]]]", keys: "list[Key]") -> "list[Verdict]":
    from nightdrop.progress import ProgressLine
    from nightdrop_restore.progressing import Pace
    from nightdrop_restore.verifying import verify

    total = sum(one.size for _place, _host, sets in work for one in sets)
    pace, lock, read = Pace(total), threading.Lock(), 0
    verdicts: list[Verdict] = []
    with ProgressLine() as line:

        def on_read(octets: int) -> None:
            nonlocal read
            with lock:
                read += octets
                line.show(f"{format_size(read)} of {format_size(total)}{pace.left(read)}")

        for place, host, sets in work:
            verdicts += verify(place, host, sets, keys, on_read)
    return verdicts
