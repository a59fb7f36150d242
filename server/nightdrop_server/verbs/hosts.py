"""`nightdrop hosts`: who drops on this mirror, how much, and when last."""

import argparse
import json
import time
from contextlib import closing
from typing import TYPE_CHECKING

from nightdrop.arguments import add_config
from nightdrop.errors import ExitStatus
from nightdrop.mirror import DEFAULT_PATH, load_mirror
from nightdrop.text import format_size, harmless

if TYPE_CHECKING:
    from nightdrop_server.facts import HostFacts

DESCRIPTION = """\
List the hosts of this mirror: when something last came, when a whole set last did, how much each keeps
and may keep. Hosts that were revoked are listed as long as they have a folder. Whether the backups are
good is for `nightdrop check` to say. Exits 1 if a host could not be looked at.
"""

_HEAD = ("HOST", "KIND", "LAST DROP", "LAST SET", "KEEPS", "QUOTA", "FROM")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    add_config(parser, "the mirror's", DEFAULT_PATH)
    parser.add_argument("--json", action="store_true", help="as JSON; times are RFC 3339, sizes octets")


def run(arguments: argparse.Namespace) -> ExitStatus:
    """List them."""
    from nightdrop.ledger import Ledger
    from nightdrop.owners import as_owner
    from nightdrop.vault import FolderVault
    from nightdrop_server.facts import Facts

    mirror = load_mirror(arguments.config)
    with as_owner(mirror.state), closing(Ledger.reading(mirror.ledger, briefly=True)) as ledger:
        hosts = Facts(mirror, FolderVault(mirror.vault), ledger).all() if mirror.state.is_dir() else []
    if arguments.json:
        fields = {"mirror": mirror.name, "hosts": [_fields(host) for host in hosts]}
        print(json.dumps(fields, indent=1))
    elif hosts:
        _print_table([_HEAD, *map(_row, hosts)])
        for host in hosts:
            if host.trouble:
                print(f"{host.name}: {harmless(host.trouble)}")
    else:
        print("no host is enrolled here yet: `nightdrop enroll HOST`")
    return ExitStatus.FAILED if any(host.kept is None for host in hosts) else ExitStatus.DONE


def _row(host: "HostFacts") -> tuple[str, ...]:
    enrolled, kept = host.enrolled, host.kept
    networks = ", ".join(map(str, enrolled.networks)) if enrolled else ""
    return (
        host.name,
        enrolled.kind if enrolled else "-",
        (kept and _time(kept.last_drop)) or "never",
        (kept and _time(kept.last_receipt)) or "never",
        format_size(kept.size) if kept else "?",
        format_size(enrolled.quota) if enrolled and enrolled.quota else "-",
        networks or ("anywhere" if enrolled else "nowhere"),
    )


def _fields(host: "HostFacts") -> dict[str, object]:
    enrolled, kept = host.enrolled, host.kept
    return {
        "host": host.name,
        "kind": enrolled.kind if enrolled else None,
        "enrolled": enrolled.enrolled if enrolled else None,
        "quota": enrolled.quota or None if enrolled else None,
        "networks": [str(network) for network in enrolled.networks] if enrolled else [],
        "files": kept.files if kept else None,
        "size": kept.size if kept else None,
        "last_drop": _time(kept.last_drop) if kept else None,
        "last_receipt": _time(kept.last_receipt) if kept else None,
        "last_set": kept.last_set or None if kept else None,
        "last_set_size": kept.last_set_size if kept and kept.last_set else None,
        "trouble": host.trouble or None,
    }


def _time(epoch: float | None) -> str | None:
    return None if epoch is None else time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(epoch))


def _print_table(rows: list[tuple[str, ...]]) -> None:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = zip(row, widths, strict=True)
        print("  ".join(cell.ljust(width) for cell, width in cells).rstrip())
