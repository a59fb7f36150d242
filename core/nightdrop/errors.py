"""The one family of errors a user may meet.

A class is a kind of failure and carries its exit status; an instance carries the sentence and, where
there is something to do, a hint. `nightdrop.cli` prints both and nothing else: no traceback.
"""

import os
from enum import IntEnum
from signal import Signals


class ExitStatus(IntEnum):
    """What the exit status of every `nightdrop` command means."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    PARTIAL = 3
    FINDINGS = 4


EXIT_STATUS_HELP = """\
exit status:
  0  done
  1  failed
  2  wrong usage or configuration
  3  done, but not everywhere (a mirror was away; some files could not be read or restored)
  4  the check has findings of severity error
  130  interrupted by Ctrl-C; 143 by SIGTERM, 129 by SIGHUP
"""


class Interrupted(KeyboardInterrupt):
    """Somebody ends us with a signal of this number; what was begun is cleared away, as by Ctrl-C."""

    def __init__(self, number: int) -> None:
        super().__init__(f"interrupted by {Signals(number).name}")
        self.number = number


class NightdropError(Exception):
    """Something failed: `message` says what, with which file, host or mirror; `hint` what to do."""

    exit_status = ExitStatus.FAILED

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class UsageError(NightdropError):
    """The command line asks for something that cannot be meant."""

    exit_status = ExitStatus.USAGE


class ConfigurationError(NightdropError):
    """A configuration file, bundle or certificate is missing, unreadable or says something impossible."""

    exit_status = ExitStatus.USAGE


class EnvelopeError(NightdropError):
    """Bytes that are not an envelope we can read, or whose content is not what was sealed."""


class UnknownCipherError(EnvelopeError):
    """An envelope that is encrypted with something we do not know."""


class ReceiptError(NightdropError):
    """A file that calls itself a receipt and is none."""


class SignatureError(NightdropError):
    """A receipt's signature that is none, or not by whom it should be."""


class VaultError(NightdropError):
    """A vault or its ledger cannot be looked at."""


def permission_hint(error: OSError) -> str:
    """What to do where somebody else than root was not allowed to; "" where something else went wrong."""
    if isinstance(error, PermissionError) and os.geteuid() != 0:
        return "run this as root, or as the user whose file it is"
    return ""
