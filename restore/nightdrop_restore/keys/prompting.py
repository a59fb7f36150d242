"""Asking for a secret at the terminal, which does not show it."""

import getpass
import os
import sys

from nightdrop.errors import UsageError


def can_ask() -> bool:
    """Whether somebody sits at a terminal: standard input may be an envelope on its way."""
    if sys.stdin.isatty():
        return True
    if not sys.stderr.isatty():
        return False
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY))
    except OSError:
        return False
    return True


def ask_secret(question: str) -> str:
    """What is typed in answer; UsageError if nothing is that could be a secret."""
    try:
        return getpass.getpass(question)
    except (EOFError, UnicodeError) as error:
        # Or that would stand behind the question.
        print(file=sys.stderr)
        raise UsageError("nothing was typed that could be a secret", "try again") from error
