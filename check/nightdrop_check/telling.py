"""Telling people: who is mailed what, and when.

The weekly report is mailed whatever it says, so that its absence means something, too. The daily look
mails only when an error is new, and once more when it is over.
"""

from pathlib import Path
from typing import Final

from nightdrop.mailing import MailSettings
from nightdrop.mirror import Mirror
from nightdrop_check.memory import Memory, memory_path
from nightdrop_check.news import news, remember_told
from nightdrop_check.outbox import enqueue, flush
from nightdrop_check.report import Report
from nightdrop_check.report_mail import news_mail, report_mail
from nightdrop_check.sending import NotSentError

_FOLDER: Final = "mails"


def mail_report(mirror: Mirror, settings: MailSettings, report: Report) -> None:
    """Put the weekly report into the queue, and remember that its errors were told."""
    enqueue(report_mail(report, settings), _queue(mirror))
    memory = Memory(memory_path(mirror.state))
    try:
        remember_told(memory, report.findings)
        memory.set_mark("reported", str(report.at))
    finally:
        memory.close()


def mail_news(mirror: Mirror, settings: MailSettings, report: Report) -> bool:
    """Put what is new since anybody was told into the queue; whether there was anything."""
    memory = Memory(memory_path(mirror.state))
    try:
        if not (found := news(memory, report.findings)):
            return False
        enqueue(news_mail(report, found.new, found.over, settings), _queue(mirror))
        remember_told(memory, report.findings)
        return True
    finally:
        memory.close()


def send_queued(mirror: Mirror, settings: MailSettings) -> list[NotSentError]:
    """Send what waits in the queue; why some of it could not be sent."""
    return flush(_queue(mirror), settings)


def _queue(mirror: Mirror) -> Path:
    return mirror.state / _FOLDER
