"""`nightdrop restore list`."""

import argparse
import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from nightdrop.errors import ExitStatus
from nightdrop.text import count, format_size, harmless

if TYPE_CHECKING:
    from nightdrop_restore.catalog import VaultSet

DESCRIPTION = """
List the hosts in a vault and the backup sets of each: when, full or incremental, how large, and whether
it is whole. Needs no key. Of several VAULTs, what they hold together is listed.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    from nightdrop_restore.addresses import add_vault_arguments

    add_vault_arguments(parser)
    parser.add_argument("--host", metavar="HOST", help="only this host")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(arguments: argparse.Namespace) -> ExitStatus:
    """List hosts and sets."""
    from nightdrop_restore.addresses import places_of
    from nightdrop_restore.catalog import catalogue

    places = places_of(arguments, arguments.vaults)
    every = {host for place in places for host in place.vault.hosts()}
    hosts = {arguments.host} if arguments.host else every
    found = {host: catalogue(places, host) for host in sorted(hosts)}
    if arguments.json:
        print(json.dumps({host: [_facts(one) for one in sets] for host, sets in found.items()}))
        return ExitStatus.DONE
    for host, sets in found.items():
        print(f"{harmless(host)}: {count(len(sets), 'set')}, {format_size(sum(s.size for s in sets))}")
        for one in sets:
            print(f"  {_line(one)}")
            for text in one.passed_receipts:
                print(f"    warning: {harmless(text, 1000)}")
    return ExitStatus.DONE


def _line(one: "VaultSet") -> str:
    from nightdrop_restore.catalog import age

    state = "" if one.whole else f"  NOT WHOLE: {harmless(one.problem)}"
    if one.failed_sources:
        state += f"  failed in that run: {harmless(', '.join(one.failed_sources))}"
    return (
        f"{one.key.end}  {one.key.kind} {one.key.type:4}  {format_size(one.size):>8}"
        f"  {age(one.key, datetime.now(UTC))}{state}"
    )


def _facts(one: "VaultSet") -> dict[str, object]:
    return {
        "set": one.key.stem,
        "time": one.key.end,
        "type": one.key.type,
        "size": one.size,
        "files": len(one.files),
        "whole": one.whole,
        "problem": one.problem,
        "failed_sources": one.failed_sources,
        "passed_receipts": one.passed_receipts,
    }
