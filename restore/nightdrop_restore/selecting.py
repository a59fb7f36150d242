"""The arguments that every verb which restores has in common: which vault, host, time and key."""

import argparse
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from nightdrop_restore.keys.reading import add_key_arguments, ask_passphrase, read_key
from nightdrop_restore.origin import Origin
from nightdrop_restore.vaults.addresses import add_vault_arguments, places_of
from nightdrop_restore.vaults.catalog import catalogue, chain_at, hosts_of, parse_moment, passed_over
from nightdrop_restore.vaults.judging import judged_chain

if TYPE_CHECKING:
    from cryptography.x509 import Certificate


def add_origin_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare them."""
    add_vault_arguments(parser)
    parser.add_argument("--host", metavar="HOST", required=True, help="whose backup")
    parser.add_argument(
        "--time",
        metavar="TIME",
        default="now",
        help="restore the state then: now (default), an age such as 3D or 12h, or 2026-01-31T18:00 (UTC)",
    )
    parser.add_argument(
        "--path",
        metavar="PATH",
        dest="paths",
        action="append",
        default=[],
        help="only this file or folder, as it was on the host; may be given several times",
    )
    parser.add_argument(
        "--find",
        metavar="GLOB",
        action="append",
        default=[],
        help="only files and folders of such a name, or, with a slash in it, of such a path",
    )
    add_key_arguments(parser)


def origin_of(arguments: argparse.Namespace, signers: tuple["Certificate", ...] = ()) -> Origin:
    """What the arguments choose. The key's passphrase is asked for when it is needed: all else is known
    to be there by then.
    """
    places = places_of(arguments, arguments.vaults)
    moment = parse_moment(arguments.time, datetime.now(UTC))
    [host] = hosts_of(places, [arguments.host])
    sets = catalogue(places, host)
    chain = chain_at(sets, moment)
    newer = passed_over(sets, chain, moment)
    of_chain = judged_chain(host, chain, signers)
    load = read_key(arguments.key, ask_passphrase(arguments.key, arguments))
    return Origin(places, host, of_chain, load, newer)
