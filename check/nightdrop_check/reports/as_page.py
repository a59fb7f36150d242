"""The report as a page: one static file of HTML, without script, that looks nothing up elsewhere."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Final

from nightdrop import __version__
from nightdrop.errors import NightdropError
from nightdrop.files import whole_file
from nightdrop.text import count, format_size
from nightdrop_check.reports import as_text
from nightdrop_check.reports.charts import heights
from nightdrop_check.reports.rendering import environment
from nightdrop_check.reports.report import HostSummary, Report
from nightdrop_check.words import span

_BAR: Final = 5
_GAP: Final = 2
_HEIGHT: Final = 32
_DAYS: Final = 30
_DAY_WIDTH: Final = 7
_STRIP: Final = 10


@dataclass(frozen=True)
class Bar:
    """One bar of a chart, in its picture's units."""

    x: int
    y: float
    width: int
    height: float
    type: str
    title: str


def write_page(report: Report, path: Path) -> None:
    """Write the page to a file, at once or not at all, in a folder that is made where there is none."""
    page = to_page(report).encode()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(path) as file:
            file.write(page)
    except OSError as error:
        raise NightdropError(
            f"{path}: cannot write the page: {error.strerror}",
            "`check.page` in mirror.toml or --page says where it goes; --no-page writes none",
        ) from error


def to_page(report: Report) -> str:
    """The page."""
    return (
        environment()
        .get_template("page.html.jinja")
        .render(
            report=report,
            version=__version__,
            at=_date(report.at),
            age=lambda received: as_text.age(report, received),
            date=_date,
            size=format_size,
            footing=as_text.footing(report),
            bars=lambda host: list(_bars(host)),
            chart_width=lambda host: max(1, len(host.recent)) * (_BAR + _GAP) - _GAP,
            chart_height=_HEIGHT,
            chart_text=_chart_text,
            ticks=lambda host: list(_ticks(report, host)),
            strip_width=_DAYS * _DAY_WIDTH,
            strip_height=_STRIP,
            strip_text=lambda host: _strip_text(report, host),
            count=count,
        )
    )


def _bars(host: HostSummary) -> Iterator[Bar]:
    for number, (each, share) in enumerate(zip(host.recent, heights(host.recent), strict=True)):
        # Two units at least, so that a small one is seen.
        height = max(2.0, round(_HEIGHT * share, 1))
        title = f"{_date(each.received)}: {format_size(each.size)} ({_type(each.type)})"
        yield Bar(number * (_BAR + _GAP), round(_HEIGHT - height, 1), _BAR, height, each.type, title)


def _chart_text(host: HostSummary) -> str:
    """The chart in words, for those who do not see it."""
    sizes = [each.size for each in host.recent]
    if not sizes:
        return "no sets"
    last = host.recent[-1]
    return (
        f"sizes of the last {count(len(sizes), 'set')}: {format_size(min(sizes))} to "
        f"{format_size(max(sizes))}, the last {format_size(last.size)} ({_type(last.type)})"
    )


def _ticks(report: Report, host: HostSummary) -> Iterator[Bar]:
    """A mark for every set of the last days, at the place of its age; now is to the right."""
    for each in host.recent:
        days = (report.at - each.received) / 86400
        if 0 <= days <= _DAYS:
            x = round((_DAYS - days) * _DAY_WIDTH) - 2
            height = _STRIP if each.type == "full" else _STRIP * 0.6
            title = f"{_date(each.received)} ({_type(each.type)})"
            yield Bar(x, round(_STRIP - height, 1), 2, height, each.type, title)


def _strip_text(report: Report, host: HostSummary) -> str:
    """The ages in words."""
    times = sorted(each.received for each in host.recent if report.at - each.received <= _DAYS * 86400)
    if not times:
        return f"no set in the last {_DAYS} days"
    gap = max(later - sooner for sooner, later in pairwise([*times, report.at]))
    return (
        f"{count(len(times), 'set')} in the last {_DAYS} days, the longest time without one {span(gap)}"
    )


def _type(set_type: str) -> str:
    return "full" if set_type == "full" else "incremental"


def _date(epoch: float) -> str:
    return datetime.fromtimestamp(epoch, UTC).strftime("%Y-%m-%d %H:%M")
