"""Looks at a file that `install.sh` is handed, before it takes the place of a good one.

`python -m nightdrop.vetting recipients|bundle FILE` says what is wrong with it, and ends with 2.
"""

import sys
from pathlib import Path

from nightdrop.cli import complain
from nightdrop.enrolment import load_bundle
from nightdrop.envelope.public_keys import require_sealable
from nightdrop.envelope.recipients import load_recipients
from nightdrop.errors import NightdropError


def _recipients(path: Path) -> None:
    require_sealable(load_recipients(path))


_READ = {"recipients": _recipients, "bundle": load_bundle}


def main() -> None:
    """Read it as those do who will need it."""
    kind, path = sys.argv[1:]
    try:
        _READ[kind](Path(path))
    except NightdropError as error:
        sys.exit(complain(error))


if __name__ == "__main__":
    main()
