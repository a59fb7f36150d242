"""Publishing a report: the page, and the numbers, each in a file that somebody looks at later.

What cannot be written is a finding of the report: an old page that says that all is well is worse than
none. The page comes first, so that the numbers tell of it.
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from nightdrop.errors import NightdropError
from nightdrop.full_disks import why_not_to_write
from nightdrop.mirror import Mirror
from nightdrop_check.attempts import could_not_look
from nightdrop_check.findings import sort
from nightdrop_check.reports.as_metrics import write_metrics
from nightdrop_check.reports.as_page import write_page
from nightdrop_check.reports.report import Report


def publish(report: Report, mirror: Mirror, page: Path | None) -> tuple[Report, list[Path]]:
    """Write the page, if any, and the metrics; the report with what went wrong in that, and what was
    written.
    """
    written: list[Path] = []
    ways: list[tuple[Path, Callable[[Report, Path], object]]] = []
    if page is not None:
        ways.append((page, write_page))
    ways += [(path, write_metrics) for path in (mirror.check_metrics, mirror.check.metrics) if path]
    told = bool(why_not_to_write(mirror.state))
    for path, write in ways:
        try:
            write(report, path)
        except NightdropError as error:
            # That nothing can be written to the state was found in judging.
            if not (told and path.is_relative_to(mirror.state)):
                finding = could_not_look(error.message, error.hint)
                report = replace(report, findings=sort([*report.findings, finding]))
        else:
            written.append(path)
    return report, written
