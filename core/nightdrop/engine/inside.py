"""Inside the duplicity process: what every launcher of ours does before it lets duplicity run."""

import logging
import os
import sys
from collections.abc import Callable
from typing import Final, NoReturn

import duplicity
import duplicity.backend
from duplicity import config, log
from duplicity.__main__ import dup_run

from nightdrop.engine.events import Event, EventWriter

_UNREAD = {
    log.WarningCode.cannot_iterate,
    log.WarningCode.cannot_stat,
    log.WarningCode.cannot_read,
    log.WarningCode.cannot_process,
}


PINNED: Final = "3.2.1"
"""The one version of which parts may be substituted: what is inside is no interface."""


def is_pinned() -> bool:
    """Whether this duplicity is the pinned version; if it is another, says so in the log."""
    if duplicity.__version__ != PINNED:
        print(
            f"duplicity {duplicity.__version__} runs as it is: Nightdrop knows how to speed up {PINNED}"
        )
    return bool(duplicity.__version__ == PINNED)


class Messages(logging.Handler):
    """Passes on what duplicity says, and counts the files that it could not read or write."""

    def __init__(self, events: EventWriter) -> None:
        super().__init__()
        self._events = events
        self.unread = 0

    def emit(self, record: logging.LogRecord) -> None:
        """Pass on one message."""
        code = int(getattr(record, "controlLine", "0").split(" ")[0])
        level = getattr(record, "levelName", "")
        if level == "ERROR":
            self._events.tell(Event("error", record.getMessage(), code=code))
        elif level == "WARNING":
            self.unread += code in _UNREAD
            self._events.tell(Event("warning", record.getMessage(), code=code))


def leave() -> NoReturn:
    """End the process well, and now: to take apart all that was imported would cost it 40 ms more."""
    logging.shutdown()
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(0)


def run_duplicity(arguments: list[str], events: EventWriter, register: Callable[[], None]) -> Messages:
    """Run duplicity with these arguments; `register` makes the one backend known that is used.

    Leaves the process, with duplicity's exit status, unless that is 0.
    """
    os.umask(0o077)
    messages = Messages(events)
    logging.getLogger("duplicity").addHandler(messages)
    # Importing the other forty backends takes longer than a small backup.
    duplicity.backend.import_backends = register
    # duplicity asks its gpg for a version before it has read which one to use.
    config.gpg_binary = arguments[arguments.index("--gpg-binary") + 1]
    # duplicity looks itself up by this, and it has to be a program that is there.
    sys.argv = [sys.executable, *arguments]
    dup_run()
    return messages
