"""The report as JSON, for programs: format `nightdrop-check/1`."""

import json
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Final

from nightdrop.drills import Drill
from nightdrop_check.reports.report import HostSummary, Report

FORMAT: Final = "nightdrop-check/1"


def to_json(report: Report) -> str:
    """The report as one JSON object. Times are RFC 3339 in UTC, sizes in octets."""
    fields = {
        "format": FORMAT,
        "mirror": report.mirror,
        "at": _time(report.at),
        "headline": report.headline,
        "counts": {noun: report.number_of(noun) for noun in ("error", "warning", "info")},
        "verified": {"files": report.verified_files, "size": report.verified_size},
        "coverage": report.coverage
        and asdict(report.coverage) | {"waiting_since": _time(report.coverage.waiting_since)},
        "room": report.room and asdict(report.room) | {"full_at": _time(report.room.full_at)},
        "drill": report.drill and _drill(report.drill),
        "keys": [each._asdict() | {"newest": _time(each.newest or None)} for each in report.keys],
        "hosts": [_host(host) for host in report.hosts],
        "findings": [asdict(finding) for finding in report.findings],
    }
    return json.dumps(fields, indent=1) + "\n"


def _host(host: HostSummary) -> dict[str, object]:
    recent = [asdict(each) | {"received": _time(each.received)} for each in host.recent]
    times = {"newest_full": _time(host.newest_full), "newest_set": _time(host.newest_set)}
    return asdict(host) | times | {"recent": recent}


def _drill(drill: Drill) -> dict[str, object]:
    sums = {"files": drill.files, "good": drill.good, "size": drill.size, "seconds": drill.seconds}
    return {"at": _time(drill.at), **sums}


def _time(epoch: float | None) -> str | None:
    if epoch is None:
        return None
    return datetime.fromtimestamp(epoch, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
