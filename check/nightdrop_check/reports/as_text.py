"""The report as text for people at a terminal, or in a journal or a plain mail."""

import textwrap
from typing import Final

from nightdrop.text import count, format_size
from nightdrop_check.findings import Finding
from nightdrop_check.key_use import in_words
from nightdrop_check.reports.report import HostSummary, Report
from nightdrop_check.words import ago, drill_in_words, span

_COLOURS: Final = {"error": "31", "warning": "33", "info": "36", "well": "32", "waiting": "36"}
WIDTH: Final = 78
"""Columns of a plain mail."""

_COLUMNS: Final = ("host", "state", "newest set", "newest full", "its size", "usual", "sets", "all")
_RIGHT: Final = ("its size", "usual", "sets", "all")
_DISPENSABLE: Final = ("sets", "all", "usual", "its size", "newest full")
"""What a table goes without where it is too wide, in this order."""


def to_text(report: Report, colour: bool = False, width: int = WIDTH) -> str:
    """The report, the headline first, in so many columns; `colour` for terminals."""
    worst = "error" if report.number_of("error") else "warning" if report.number_of("warning") else "well"
    lines = [_paint(report.headline, worst, colour)]
    if report.hosts:
        lines += ["", *_table(report, colour, width)]
    if report.findings:
        lines.append("")
        for finding in report.findings:
            lines += finding_lines(finding, colour, width)
    lines += ["", *footing_lines(report, width)]
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


def footing_lines(report: Report, width: int = WIDTH) -> list[str]:
    """The same as lines."""
    return [line for sentence in footing(report) for line in _wrap(sentence, width)]


def over_lines(text: str) -> list[str]:
    """What is over, in words, as lines."""
    return [" " * 8 + line for line in _wrap(text, WIDTH - 8)]


def age(report: Report, received: float | None) -> str:
    """How long ago something came, in words; a dash where nothing did."""
    return "-" if received is None else ago(report.at - received)


def state(host: HostSummary) -> str:
    """A host's state in words: `well`, or what is wrong with it, and in how many other ways."""
    first, *more = host.codes or (host.state,)
    return f"{first} +{len(more)}" if more else first


def against_usual(host: HostSummary) -> str:
    """The size of the newest set, and how it compares: `12 MB (usual: 11 MB)`."""
    if host.newest_size is None:
        return "-"
    usual = "" if host.usual_size is None else f" (usual: {format_size(host.usual_size)})"
    return f"{format_size(host.newest_size)}{usual}"


def _table(report: Report, colour: bool, width: int) -> list[str]:
    """The hosts. One whose name is too long has a line for its name."""
    rows = [_row(report, host) for host in report.worst_first]
    columns = list(_COLUMNS)
    short = [len(row["host"]) for row in rows if len(row["host"]) <= width // 3]
    widths = {name: max(len(name), *(len(row[name]) for row in rows)) for name in columns}
    widths["host"] = max([len("host"), *short])
    for name in _DISPENSABLE:
        if 2 * len(columns) + sum(widths[each] for each in columns) <= width:
            break
        columns.remove(name)
    lines = [_line({name: name for name in columns}, columns, widths)]
    for host, row in zip(report.worst_first, rows, strict=True):
        if len(row["host"]) > widths["host"]:
            lines.append(f"  {row['host']}")
            row["host"] = ""
        line = _line(row, columns, widths)
        # Painted after it was aligned, because colour codes have a length and no width.
        at = widths["host"] + 4
        end = at + len(row["state"])
        lines.append(line[:at] + _paint(line[at:end], host.state, colour) + line[end:])
    return lines


def _row(report: Report, host: HostSummary) -> dict[str, str]:
    cells = (
        host.name,
        state(host),
        age(report, host.newest_set),
        age(report, host.newest_full),
        _size(host.newest_size),
        _size(host.usual_size),
        f"{host.sets:,}",
        format_size(host.size),
    )
    return dict(zip(_COLUMNS, cells, strict=True))


def _size(octets: int | None) -> str:
    return "-" if octets is None else format_size(octets)


def _line(cells: dict[str, str], columns: list[str], widths: dict[str, int]) -> str:
    padded = [
        cells[name].rjust(widths[name]) if name in _RIGHT else cells[name].ljust(widths[name])
        for name in columns
    ]
    return "  " + "  ".join(padded).rstrip()


def finding_lines(finding: Finding, colour: bool = False, width: int = WIDTH) -> list[str]:
    """A finding, and its hint."""
    where = f"{finding.host}: " if finding.host else ""
    head = f"{finding.severity:8}"
    body = _wrap(f"{where}{finding.code}: {finding.sentence}", width - 8)
    lines = [_paint(head, finding.severity, colour) + body[0], *(" " * 8 + line for line in body[1:])]
    if finding.hint:
        lines += [" " * 8 + line for line in _wrap(f"hint: {finding.hint}", width - 8)]
    return lines


def _wrap(text: str, width: int) -> list[str]:
    # A name is never broken, so that it can be copied.
    return textwrap.wrap(text, width, break_long_words=False, break_on_hyphens=False) or [""]


def _paint(text: str, meaning: str, colour: bool) -> str:
    return f"\x1b[{_COLOURS[meaning]}m{text}\x1b[0m" if colour else text
