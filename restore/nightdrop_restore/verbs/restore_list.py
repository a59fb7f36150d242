"""`nightdrop restore list`."""

import argparse
import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from nightdrop.errors import ExitStatus
from nightdrop.text import count, format_size, harmless

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nightdrop_restore.vaults.copies import Place
    from nightdrop_restore.vaults.judging import JudgedSet

DESCRIPTION = """
List the hosts in a vault and the backup sets of each: when, full or incremental, how large, and whether
it is whole. Needs no key. Of several VAULTs, what they hold together is listed.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    from nightdrop_restore.vaults.addresses import add_vault_arguments

    add_vault_arguments(parser)
    parser.add_argument("--host", metavar="HOST", help="only this host")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(arguments: argparse.Namespace) -> ExitStatus:
    """List hosts and sets."""
    from nightdrop_restore.vaults.addresses import places_of, require_backups
    from nightdrop_restore.vaults.catalog import catalogue, hosts_of
    from nightdrop_restore.vaults.judging import judged

    places = places_of(arguments, arguments.vaults)
    hosts = hosts_of(places, [arguments.host] if arguments.host else None)
    require_backups(places, hosts)
    if arguments.json:
        _print_json(places, hosts)
        return ExitStatus.DONE
    for host in hosts:
        sets = catalogue(places, host)
        print(f"{harmless(host)}: {count(len(sets), 'set')}, {format_size(sum(s.size for s in sets))}")
        for one in sets:
            found = judged(host, one)
            print(f"  {_line(found)}")
            for text in found.passed_receipts:
                print(f"    warning: {harmless(text, 1000)}")
    return ExitStatus.DONE


def _print_json(places: "Sequence[Place]", hosts: "Sequence[str]") -> None:
    """Print it a set at a time: of all of them, that would be more than fits into memory."""
    from nightdrop_restore.vaults.catalog import catalogue
    from nightdrop_restore.vaults.judging import judged

    for number, host in enumerate(hosts):
        print(f"{', ' if number else '{'}{json.dumps(host)}: [", end="")
        for place, one in enumerate(catalogue(places, host)):
            print(f"{', ' if place else ''}{json.dumps(_facts(judged(host, one)))}", end="")
        print("]", end="")
    print("}" if hosts else "{}")


def _line(one: "JudgedSet") -> str:
    from nightdrop_restore.vaults.catalog import age

    state = "" if one.whole else f"  NOT WHOLE: {harmless(one.problem)}"
    if one.failed_sources:
        state += f"  failed in that run: {harmless(', '.join(one.failed_sources))}"
    return (
        f"{one.key.end}  {one.key.kind} {one.key.type:4}  {format_size(one.size):>8}"
        f"  {age(one.key, datetime.now(UTC))}{state}"
    )


def _facts(one: "JudgedSet") -> dict[str, object]:
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
