"""Telling people: who is told what, and when.

The weekly report is mailed whatever it says, so that its absence means something, too. The daily look
mails and notifies only when an error is new, and once more when it is over.
"""

from contextlib import closing, suppress

from nightdrop.mirror import Mirror
from nightdrop_check.memory import Memory, memories, memory_path
from nightdrop_check.reports.as_mail import news_mail, news_subject, news_text, report_mail
from nightdrop_check.reports.report import Report
from nightdrop_check.store import NotKeptError
from nightdrop_check.telling.composing import compose
from nightdrop_check.telling.news import news, remember_told
from nightdrop_check.telling.notifying import notify
from nightdrop_check.telling.outbox import DEADLINE, flush, post


def tell_report(mirror: Mirror, report: Report) -> list[str]:
    """Mail the weekly report, and remember that its errors were told; what went wrong in doing so."""
    if (settings := mirror.check.mail) is None:
        return []
    problem = post(report_mail(report, settings), mirror.mails, settings)
    if not problem:
        with closing(_memory(mirror)) as memory, suppress(NotKeptError):
            remember_told(memory, report.findings)
            memory.set_mark("reported", str(report.at))
    return _problems(problem)


def tell_news(mirror: Mirror, report: Report) -> list[str]:
    """Tell what is new since anybody was told; what went wrong in doing so."""
    with closing(_memory(mirror)) as memory:
        if not (found := news(memory, report.findings)):
            return []
        mailed = notified = ""
        if settings := mirror.check.mail:
            mail = news_mail(report, found.new, found.over, settings)
            mailed = post(mail, mirror.mails, settings)
        if configuration := mirror.check.notify:
            title = news_subject(report, found.new, found.over)
            notified = notify(configuration, title, news_text(report, found.new, found.over))
        # With nobody but a notification to tell, one that failed is tried again by the next look.
        if not (mailed if settings else notified):
            with suppress(NotKeptError):
                remember_told(memory, report.findings)
    return _problems(mailed, notified)


def tell_notice(mirror: Mirror, subject: str, text: str) -> list[str]:
    """Tell something that is not the check's; what went wrong in doing so."""
    mailed = notified = ""
    if settings := mirror.check.mail:
        mailed = post(compose(subject, text, settings), mirror.mails, settings)
    if configuration := mirror.check.notify:
        notified = notify(configuration, subject, text)
    return _problems(mailed, notified)


def _memory(mirror: Mirror) -> Memory:
    """What the check remembers. Where nothing can be added to it, the report told of that."""
    for begin in memories(memory_path(mirror.state)):
        with suppress(NotKeptError):
            memory = begin()
            memory.mark("told")
            return memory
    raise AssertionError("what is remembered nowhere but here cannot fail to be")


def _problems(*problems: str) -> list[str]:
    return [problem for problem in problems if problem]


def send_queued(mirror: Mirror, seconds: float = DEADLINE) -> list[str]:
    """Send what waits in the queue, within so many seconds; why some of it could not be sent."""
    if (settings := mirror.check.mail) is None:
        return []
    failures = flush(mirror.mails, settings, seconds)
    if not failures:
        return []
    waiting = "a mail waits" if len(failures) == 1 else f"{len(failures):,} mails wait"
    hint = f"\nhint: {failures[0].hint}" if failures[0].hint else ""
    return [f"{waiting} to be sent: {failures[0].message}{hint}"]
