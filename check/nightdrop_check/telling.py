"""Telling people: who is told what, and when.

The weekly report is mailed whatever it says, so that its absence means something, too. The daily look
mails and notifies only when an error is new, and once more when it is over.
"""

from contextlib import closing
from pathlib import Path
from typing import Final

from nightdrop.mirror import Mirror
from nightdrop_check.memory import Memory, memory_path
from nightdrop_check.news import news, remember_told
from nightdrop_check.notifying import notify
from nightdrop_check.outbox import DEADLINE, enqueue, flush
from nightdrop_check.report import Report
from nightdrop_check.report_mail import news_mail, news_subject, news_text, report_mail

_FOLDER: Final = "mails"


def tell_report(mirror: Mirror, report: Report) -> None:
    """Put the weekly report into the queue, and remember that its errors were told."""
    if (settings := mirror.check.mail) is None:
        return
    enqueue(report_mail(report, settings), _queue(mirror))
    with closing(Memory(memory_path(mirror.state))) as memory:
        remember_told(memory, report.findings)
        memory.set_mark("reported", str(report.at))


def tell_news(mirror: Mirror, report: Report) -> list[str]:
    """Tell what is new since anybody was told; what went wrong in doing so."""
    problems = []
    with closing(Memory(memory_path(mirror.state))) as memory:
        if not (found := news(memory, report.findings)):
            return []
        if settings := mirror.check.mail:
            enqueue(news_mail(report, found.new, found.over, settings), _queue(mirror))
        if configuration := mirror.check.notify:
            title = news_subject(report, found.new, found.over)
            problems.append(notify(configuration, title, news_text(report, found.new, found.over)))
        # With nobody but a notification to tell, one that failed is tried again by the next look.
        if settings or not any(problems):
            remember_told(memory, report.findings)
    return [problem for problem in problems if problem]


def send_queued(mirror: Mirror, seconds: float = DEADLINE) -> list[str]:
    """Send what waits in the queue, within so many seconds; why some of it could not be sent."""
    if (settings := mirror.check.mail) is None:
        return []
    failures = flush(_queue(mirror), settings, seconds)
    if not failures:
        return []
    waiting = "a mail waits" if len(failures) == 1 else f"{len(failures):,} mails wait"
    hint = f"\nhint: {failures[0].hint}" if failures[0].hint else ""
    return [f"{waiting} to be sent: {failures[0].message}{hint}"]


def _queue(mirror: Mirror) -> Path:
    return mirror.state / _FOLDER
