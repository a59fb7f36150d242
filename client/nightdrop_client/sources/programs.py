"""Running the programs that make sources ready: what they print, or an error that says what they said."""

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence

from nightdrop.errors import NightdropError
from nightdrop.text import format_duration, harmless

PATIENCE = 120
"""Seconds that a program may take, unless said."""


def ending_with_us(command: Sequence[str]) -> list[str]:
    """The command, but killed as soon as we are: it is not to go on for nobody."""
    guard = ["setpriv", "--pdeathsig", "KILL", "--"] if shutil.which("setpriv") else []
    return [*guard, *command]


def output_of(
    command: Sequence[str],
    *,
    environment: Mapping[str, str] | None = None,
    told: str = "",
    patience: float = PATIENCE,
    ends_with_us: bool = False,
) -> str:
    """What a program prints. It reads `told` from its standard input; `patience` is in seconds;
    `ends_with_us` says that it is killed if we are.

    Raises NightdropError if it is not there, takes too long, or ends badly.
    """
    name = command[0]
    if shutil.which(name) is None:
        raise NightdropError(f"the program {name} is not installed")
    try:
        done = subprocess.run(
            ending_with_us(command) if ends_with_us else command,
            env=dict(os.environ if environment is None else environment) | {"LC_ALL": "C.UTF-8"},
            input=told,
            capture_output=True,
            encoding="utf-8",
            errors="surrogateescape",
            timeout=patience,
            check=False,
        )
    except OSError as error:
        raise NightdropError(f"{name} cannot be started: {error.strerror}") from error
    except subprocess.TimeoutExpired as error:
        raise NightdropError(f"{name} took longer than {format_duration(patience)}") from error
    if done.returncode:
        lines = [line for line in (done.stderr.strip() or done.stdout.strip()).split("\n") if line]
        said = f": {harmless(lines[-1].strip(), 200)}" if lines else ""
        raise NightdropError(f"{name} ended with status {done.returncode}{said}")
    return done.stdout
