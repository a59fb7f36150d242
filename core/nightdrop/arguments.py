"""Arguments that verbs of several roles have alike."""

import argparse
from pathlib import Path


def add_config(parser: argparse.ArgumentParser, whose: str, default: Path) -> None:
    """Declare `--config`: where the configuration of a mirror, or of this host (`whose`), is."""
    parser.add_argument(
        "--config",
        metavar="FILE",
        type=Path,
        default=default,
        help=f"{whose} configuration (%(default)s)",
    )
