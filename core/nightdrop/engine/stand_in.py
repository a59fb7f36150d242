"""What duplicity has to be told by whatever stands in for gpgsm.

A role's stand-in is one of its modules, run as a program once a file; duplicity is given a small
executable that starts it with that role's settings.
"""

import fcntl
import os
import shlex
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from nightdrop.errors import NightdropError

VERSION: Final = "gpgsm (a stand-in by Nightdrop) 2.2.40"
"""What duplicity's pattern for the first line of `gpgsm --version` accepts."""

PIPE: Final = 1024 * 1024
"""Octets that may be on their way to or from a stand-in."""


def write_script(path: Path, module: str, settings: Sequence[str]) -> None:
    """Write the executable: it runs `module` with `settings` and then gpgsm's own arguments.

    It answers the question for a version by itself: duplicity asks that twice a run.
    """
    command = shlex.join([sys.executable, "-I", "-m", module, *settings])
    path.write_text(
        f"#!/bin/sh\n"
        f'case " $* " in *" --version "*) echo {shlex.quote(VERSION)}; exit ;; esac\n'
        f'exec {command} "$@"\n'
    )
    path.chmod(0o700)


def answer(arguments: Sequence[str], mode: str, act: Callable[[], None], pipe: int = PIPE) -> int:
    """Do what gpgsm's arguments ask for: `act`, if they ask for `mode`; the exit status.

    `pipe` is how many octets its pipes are to hold.
    """
    if mode not in arguments:
        print(f"gpgsm: this stand-in knows only {mode}", file=sys.stderr)
        return 2
    for descriptor in (0, 1):
        with suppress(OSError):
            fcntl.fcntl(descriptor, fcntl.F_SETPIPE_SZ, pipe)
    try:
        act()
    except (NightdropError, OSError) as error:
        print(f"gpgsm: {error}", file=sys.stderr)
        return 2
    return 0


def write_all(octets: bytes | bytearray | memoryview) -> None:
    """Write all of it to standard output."""
    view = memoryview(octets)
    while view:
        view = view[os.write(1, view) :]
