"""`nightdrop enroll`: let a host drop on this mirror, and make its bundle."""

import argparse
import sys
from pathlib import Path

from nightdrop.arguments import add_config
from nightdrop.enrolment import HOST_KINDS
from nightdrop.errors import ExitStatus, UsageError
from nightdrop.mirror import DEFAULT_PATH, load_mirror
from nightdrop.networks import Network, parse_network
from nightdrop.text import count, parse_size

DESCRIPTION = """\
Let a host drop on this mirror: make its folder, its password and its bundle, the one file that
the host needs. It works while the mirror serves, and before it ever did.

With -o naming the bundle that another mirror made for the same host, this mirror is added to it.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument("host", metavar="HOST", help="the host's name, such as web1")
    add_config(parser, "the mirror's", DEFAULT_PATH)
    parser.add_argument("--kind", choices=HOST_KINDS, help="what it runs (duplicity)")
    parser.add_argument(
        "--quota", metavar="SIZE", help="how much it may keep here, such as 100G; none: no limit (none)"
    )
    parser.add_argument(
        "--network",
        metavar="CIDR",
        nargs="+",
        action="extend",
        help="where it may come from, such as 192.0.2.0/24; any: from everywhere (any)",
    )
    parser.add_argument(
        "--signer",
        metavar="CERT",
        nargs="+",
        help="certificates (PEM files) that its receipts are signed with; none: it does not sign (none)",
    )
    parser.add_argument(
        "--again",
        action="store_true",
        help="it is enrolled; give it a new password, and leave what is not said as it is",
    )
    parser.add_argument(
        "-o", "--output", metavar="FILE", type=Path, help="the bundle to make or add to (standard output)"
    )


def run(arguments: argparse.Namespace) -> ExitStatus:
    """Enrol the host and hand out its bundle."""
    from nightdrop_server import enrolling
    from nightdrop_server.files import write_private

    # Everything that can be wrong is looked at before the first change.
    enrolling.check_host_name(arguments.host)
    wishes = enrolling.Wishes(
        arguments.kind,
        _quota(arguments.quota),
        _networks(arguments.network),
        _signers(arguments.signer),
    )
    mirror = load_mirror(arguments.config)
    recipients = enrolling.recipients_of(mirror)
    output: Path | None = arguments.output
    begun = enrolling.begun_bundle(output, arguments.host) if output else None
    if output and begun and not arguments.again:
        enrolling.require_name_of_its_own(output, begun, mirror)

    entry = enrolling.enrol(mirror, arguments.host, wishes, again=arguments.again)
    bundle = enrolling.merged_bundle(begun, arguments.host, entry, recipients)
    text = enrolling.bundle_text(bundle)
    if output is None:
        sys.stdout.write(text)
        return ExitStatus.DONE
    write_private(output, text.encode(), replace=begun is not None, ours=False)
    mirrors = ", ".join(known.name for known in bundle.mirrors)
    print(
        f"nightdrop: {arguments.host} may drop on {mirror.name}; its bundle is {output} "
        f"({count(len(bundle.mirrors), 'mirror')}: {mirrors}; "
        f"{count(len(bundle.recipients), 'recipient')})"
    )
    return ExitStatus.DONE


def _quota(text: str | None) -> int | None:
    if text in (None, "none"):
        return None if text is None else 0
    try:
        quota = parse_size(text)
    except ValueError as error:
        raise UsageError(f"--quota: {error}") from error
    if quota <= 0:
        raise UsageError("--quota: a host that may keep nothing cannot drop", "`none` is for no limit")
    return quota


def _networks(texts: list[str] | None) -> tuple[Network, ...] | None:
    if texts in (None, ["any"]):
        return None if texts is None else ()
    try:
        return tuple(dict.fromkeys(parse_network(text) for text in texts))
    except ValueError as error:
        raise UsageError(f"--network: {error}") from error


def _signers(names: list[str] | None) -> tuple[str, ...] | None:
    from nightdrop.signatures import read_signers

    if names in (None, ["none"]):
        return None if names is None else ()
    return tuple(pem for name in names for pem in read_signers(Path(name)))
