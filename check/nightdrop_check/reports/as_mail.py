"""The report as a mail: plain text, and HTML that looks the same in any mail reader, wide or narrow."""

from collections.abc import Sequence
from datetime import UTC, datetime
from email.message import EmailMessage
from typing import Final

from nightdrop import __version__
from nightdrop.mailing import MailSettings
from nightdrop.text import count, format_size
from nightdrop_check.findings import Finding
from nightdrop_check.reports import as_text
from nightdrop_check.reports.charts import heights
from nightdrop_check.reports.rendering import environment
from nightdrop_check.reports.report import HostSummary, Report
from nightdrop_check.telling.composing import compose
from nightdrop_check.words import span

_LONGEST_SUBJECT: Final = 150
_BARS: Final = 14


def report_mail(report: Report, settings: MailSettings) -> EmailMessage:
    """The weekly report."""
    return _mail(subject(report), as_text.to_text(report), _html(report, report.findings), settings)


def news_mail(
    report: Report, new: Sequence[Finding], over: Sequence[str], settings: MailSettings
) -> EmailMessage:
    """What the daily look has to say: errors that are new, and those that are over."""
    html = _html(report, new, over=over, news=True)
    return _mail(news_subject(report, new, over), news_text(report, new, over), html, settings)


def news_text(report: Report, new: Sequence[Finding], over: Sequence[str]) -> str:
    """The news as text."""
    lines = []
    if new:
        lines += ["New:", *(line for each in new for line in as_text.finding_lines(each)), ""]
    if over:
        lines += ["No more:", *(line for text in over for line in as_text.over_lines(text)), ""]
    return "\n".join([*lines, report.headline, "", *as_text.footing_lines(report)]) + "\n"


def subject(report: Report) -> str:
    """The report in one line: `[nightdrop] backup.example.org: 7 of 8 hosts well, db missing 5 days`."""
    return _subject(report, report.well, [each for each in report.findings if each.severity == "error"])


def news_subject(report: Report, new: Sequence[Finding], over: Sequence[str]) -> str:
    """The news in one line."""
    if not new:
        parts = _few(list(dict.fromkeys(_over_briefly(text) for text in over)))
        return _cut(f"[nightdrop] {report.mirror}: {report.well}, over: {', '.join(parts)}")
    return _subject(report, report.well, new)


def _subject(report: Report, well: str, errors: Sequence[Finding]) -> str:
    by_host: dict[str, list[Finding]] = {}
    for finding in errors:
        by_host.setdefault(finding.host or report.mirror, []).append(finding)
    parts = [f"{host} {_briefly(findings)}" for host, findings in by_host.items()]
    return _cut(", ".join([f"[nightdrop] {report.mirror}: {well}", *_few(parts)]))


def _few(parts: list[str]) -> list[str]:
    return parts if len(parts) <= 2 else [*parts[:2], f"{len(parts) - 2} more"]


def _over_briefly(text: str) -> str:
    """Host and code of what is over, or the code alone: `web incomplete`."""
    first, second = [*text.split(": ", 2), ""][:2]
    return first if " " in second else f"{first} {second}".rstrip()


def _briefly(findings: Sequence[Finding]) -> str:
    """What is wrong with a host, in a word or two."""
    first = findings[0]
    if first.code == "late":
        # To whom it may concern, the backups of these days are missing.
        age = first.data.get("age")
        return f"missing {span(float(age))}" if isinstance(age, int | float) else "late"
    return ", ".join(dict.fromkeys(finding.code for finding in findings))


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST_SUBJECT else f"{text[: _LONGEST_SUBJECT - 1]}…"


def _mail(subject_line: str, text: str, html: str, settings: MailSettings) -> EmailMessage:
    mail = compose(subject_line, text, settings)
    mail.add_alternative(html, subtype="html", cte="quoted-printable")
    return mail


def _html(
    report: Report, findings: Sequence[Finding], over: Sequence[str] = (), news: bool = False
) -> str:
    return (
        environment()
        .get_template("mail.html.jinja")
        .render(
            report=report,
            findings=findings,
            over=over,
            news=news,
            version=__version__,
            at=datetime.fromtimestamp(report.at, UTC).strftime("%Y-%m-%d %H:%M"),
            age=lambda received: as_text.age(report, received),
            size=format_size,
            count=count,
            bars=_bars,
            against_usual=as_text.against_usual,
            footing=as_text.footing(report),
        )
    )


def _bars(host: HostSummary) -> list[tuple[int, str]]:
    """Heights (2 to 24) and types of the last sets."""
    recent = host.recent[-_BARS:]
    return [
        (max(2, round(24 * share)), each.type)
        for each, share in zip(recent, heights(recent), strict=True)
    ]
