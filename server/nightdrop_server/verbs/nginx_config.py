"""`nightdrop nginx-config`: the same mirror with nginx."""

import argparse
from pathlib import Path

from nightdrop.arguments import add_config
from nightdrop.errors import ExitStatus, UsageError
from nightdrop.mirror import DEFAULT_PATH, load_mirror

DESCRIPTION = """\
Write a configuration for nginx, made from the mirror's own. By default nginx takes the door's place:
names, passwords, networks and refusals are the same, but it promises less, and the configuration says
what. With --proxy it stands before the door, which keeps all its promises, and speaks TLS for it.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    add_config(parser, "the mirror's", DEFAULT_PATH)
    parser.add_argument("--proxy", action="store_true", help="nginx in front, not in place, of the door")
    parser.add_argument(
        "--uploads", metavar="DIR", type=Path, help="on the vault's disk, for what is not whole yet"
    )
    parser.add_argument("--certificate", metavar="FILE", type=Path, help="with --proxy (certbot's)")
    parser.add_argument("--key", metavar="FILE", type=Path, help="with --proxy: the certificate's key")
    parser.add_argument(
        "-o", "--output", metavar="FILE", default="-", help="where to write it (standard output)"
    )


def run(arguments: argparse.Namespace) -> ExitStatus:
    """Write it."""
    from nightdrop.files import whole_file
    from nightdrop_server.nginx import classic_config, proxy_config

    if arguments.proxy:
        if arguments.uploads:
            raise UsageError("--uploads is for nginx in the door's place, not with --proxy")
        if bool(arguments.certificate) != bool(arguments.key):
            raise UsageError("--certificate and --key belong together")
        mirror = load_mirror(arguments.config)
        text = proxy_config(mirror, arguments.certificate, arguments.key)
    else:
        if arguments.certificate or arguments.key:
            raise UsageError("--certificate and --key go with --proxy; without, it is the mirror's own")
        text = classic_config(load_mirror(arguments.config), arguments.uploads)
    if arguments.output == "-":
        print(text, end="")
    else:
        with whole_file(Path(arguments.output)) as file:
            file.write(text.encode())
    return ExitStatus.DONE
