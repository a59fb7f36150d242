"""The report as text for people at a terminal, or in a journal or a plain mail."""

import textwrap
from typing import Final

from nightdrop.text import count, format_size
from nightdrop_check.findings import Finding
from nightdrop_check.key_use import in_words
from nightdrop_check.report import HostSummary, Report
from nightdrop_check.words import ago, drill_in_words, span

_COLOURS: Final = {"error": "31", "warning": "33", "info": "36", "well": "32", "waiting": "36"}
_WIDTH: Final = 100


def to_text(report: Report, colour: bool = False) -> str:
    """The report, the headline first; `colour` for terminals."""
    worst = "error" if report.number_of("error") else "warning" if report.number_of("warning") else "well"
    lines = [_paint(report.headline, worst, colour)]
    if report.hosts:
        lines += ["", *_table(report, colour)]
    if report.findings:
        lines.append("")
        for finding in report.findings:
            lines += finding_lines(finding, colour)
    lines += ["", *footing(report)]
    return "\n".join(lines) + "\n"


def footing(report: Report) -> list[str]:
    """How much was read, how long the disk lasts, the last drill, what keys are needed for."""
    lines = []
    if (covered := report.coverage) is not None:
        share = covered.size_read / covered.size if covered.size else 1.0
        now = f"{format_size(report.verified_size)} in {count(report.verified_files, 'file')}"
        lines.append(
            f"Read to the last byte: {now} in this look; within 30 days {share:.0%} of "
            f"{format_size(covered.size)}."
        )
    if (room := report.room) is not None:
        text = f"Disk: {format_size(max(0, room.free))} of {format_size(room.total)} left"
        if room.full_at is not None:
            text += f"; full in about {span(room.full_at - report.at)} if it goes on like this"
        elif room.per_day is not None:
            text += "; it is not filling up"
        lines.append(f"{text}.")
    if report.drill is not None:
        lines.append(f"Last drill: {drill_in_words(report.drill, report.at)}.")
    # Of one key there is nothing to tell that `wrong-recipient` would not.
    if len(report.keys) > 1:
        lines += [in_words(use, report.at) for use in report.keys]
    return lines


def age(report: Report, received: float | None) -> str:
    """How long ago something came, in words; a dash where nothing did."""
    return "-" if received is None else ago(report.at - received)


def state(host: HostSummary) -> str:
    """A host's state in words: `well`, or what is wrong with it."""
    return ", ".join(host.codes or (host.state,))


def against_usual(host: HostSummary) -> str:
    """The size of the newest set, and how it compares: `12 MB (usual: 11 MB)`."""
    if host.newest_size is None:
        return "-"
    usual = "" if host.usual_size is None else f" (usual: {format_size(host.usual_size)})"
    return f"{format_size(host.newest_size)}{usual}"


def _table(report: Report, colour: bool) -> list[str]:
    head = ("host", "state", "newest set", "newest full", "its size", "sets", "all")
    rows = [
        (
            host.name,
            state(host),
            age(report, host.newest_set),
            age(report, host.newest_full),
            against_usual(host),
            f"{host.sets:,}",
            format_size(host.size),
        )
        for host in report.hosts
    ]
    widths = [max(len(row[at]) for row in [head, *rows]) for at in range(len(head))]
    lines = [_line(head, widths)]
    for host, row in zip(report.hosts, rows, strict=True):
        line = _line(row, widths)
        # Painted after it was aligned, because colour codes have a length and no width.
        at = widths[0] + 4
        end = at + widths[1]
        lines.append(line[:at] + _paint(line[at:end], host.state, colour) + line[end:])
    return lines


def _line(cells: tuple[str, ...], widths: list[int]) -> str:
    padded = [
        cell.rjust(width) if at >= 5 else cell.ljust(width)
        for at, (cell, width) in enumerate(zip(cells, widths, strict=True))
    ]
    return "  " + "  ".join(padded).rstrip()


def finding_lines(finding: Finding, colour: bool = False) -> list[str]:
    """A finding, and its hint."""
    where = f"{finding.host}: " if finding.host else ""
    head = f"{finding.severity:8}"
    body = _wrap(f"{where}{finding.code}: {finding.sentence}")
    lines = [_paint(head, finding.severity, colour) + body[0], *(" " * 8 + line for line in body[1:])]
    if finding.hint:
        lines += [" " * 8 + line for line in _wrap(f"hint: {finding.hint}")]
    return lines


def _wrap(text: str) -> list[str]:
    # A name is never broken, so that it can be copied.
    return textwrap.wrap(text, _WIDTH - 8, break_long_words=False, break_on_hyphens=False) or [""]


def _paint(text: str, meaning: str, colour: bool) -> str:
    return f"\x1b[{_COLOURS[meaning]}m{text}\x1b[0m" if colour else text
