"""The queue of mails: a file each in the mirror's state. A mail server that is down loses none.

Where the queue cannot be written, because its disk is full or the like, a mail is sent at once or not at
all: just then somebody should hear.
"""

import email
import email.policy
import fcntl
import os
import time
from email.message import EmailMessage
from pathlib import Path
from typing import Final

from nightdrop.errors import NightdropError
from nightdrop.files import whole_file
from nightdrop.mailing import MailSettings
from nightdrop_check.telling.sending import NotSentError, send

_MOST: Final = 200
DEADLINE: Final = 600.0
"""Seconds in which all mails that wait are sent, or wait for the next run: one each hour tries again."""


def post(mail: EmailMessage, folder: Path, settings: MailSettings, seconds: float = DEADLINE) -> str:
    """Put a mail into the queue, or, if that cannot be, send it within so many seconds; "" if either was
    done, or else why not.
    """
    try:
        _enqueue(mail, folder)
    except NightdropError as error:
        try:
            send(mail, settings, seconds)
        except NotSentError as failure:
            return f"{error.message}, and it cannot be sent now: {failure.message}"
    return ""


def _enqueue(mail: EmailMessage, folder: Path) -> None:
    """Put a mail into the queue, whole and for good. Beyond 200 of them the oldest go."""
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with whole_file(folder / f"{time.time_ns():020}.eml", 0o600) as file:
            file.write(mail.as_bytes())
        for path in _queued(folder)[:-_MOST]:
            path.unlink(missing_ok=True)
    except OSError as error:
        raise NightdropError(f"{folder}: cannot keep a mail there: {error.strerror}") from error


def flush(folder: Path, settings: MailSettings, seconds: float) -> list[NotSentError]:
    """Send what is queued, oldest first, within so many seconds. What could not be sent stays, and why is
    returned. A mail server that takes for ever holds up nobody, and no two runs send the same mail.
    """
    if not _queued(folder):
        return []
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return _flush(folder, settings, seconds)
    except BlockingIOError:
        return []  # another run is at it
    finally:
        os.close(descriptor)


def _flush(folder: Path, settings: MailSettings, seconds: float) -> list[NotSentError]:
    failures: list[NotSentError] = []
    begun = time.monotonic()
    if not os.access(folder, os.W_OK):
        # What is sent could not be taken out, and would be sent every hour.
        return [NotSentError(f"{folder}: sent mails cannot be removed from there")]
    for path in _queued(folder):
        left = begun + seconds - time.monotonic()
        if left <= 0:
            failures.append(NotSentError("sending what was before it took too long"))
            continue
        try:
            mail = email.message_from_bytes(path.read_bytes(), policy=email.policy.SMTP)
        except OSError as error:
            failures.append(NotSentError(f"{path}: cannot be read: {error.strerror}"))
            continue
        try:
            send(mail, settings, left)
        except NotSentError as error:
            failures.append(error)
            continue
        path.unlink(missing_ok=True)
    return failures


def _queued(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.eml"))
