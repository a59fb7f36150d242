"""The report as metrics, for the textfile collector of Prometheus' node_exporter (format 0.0.4), and for
the administrator's listener, which gives them out with its own: no name is used by both.
"""

from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from nightdrop.errors import NightdropError
from nightdrop.files import whole_file
from nightdrop_check.findings import SEVERITIES
from nightdrop_check.reports.report import Report

Sample = tuple[dict[str, str], float]


def write_metrics(report: Report, path: Path) -> None:
    """Write the metrics to a file, at once or not at all, for anybody to read."""
    try:
        with whole_file(path, 0o644) as file:
            file.write(to_metrics(report).encode())
    except OSError as error:
        raise NightdropError(
            f"{path}: cannot write the metrics: {error.strerror}",
            "`check.metrics` in mirror.toml says where they go",
        ) from error


def to_metrics(report: Report) -> str:
    """The metrics. Times are epoch seconds, sizes octets."""
    codes = Counter((f.host, f.code, f.severity) for f in report.findings)
    lines = [
        *_metric("check_timestamp_seconds", "When the vault was looked at.", [({}, report.at)]),
        *_metric(
            "findings",
            "Findings of the last look, by severity.",
            [({"severity": severity}, report.number_of(severity)) for severity in SEVERITIES],
        ),
        *_metric(
            "finding",
            "Findings of the last look, by host, code and severity.",
            [
                ({"host": host, "code": code, "severity": severity}, number)
                for (host, code, severity), number in sorted(codes.items())
            ],
        ),
        *_hosts(report),
    ]
    if report.coverage is not None:
        lines += _metric("vault_bytes", "What the scrub has to read.", [({}, report.coverage.size)])
        lines += _metric("scrubbed_bytes", "What it read in 30 days.", [({}, report.coverage.size_read)])
    if report.room is not None:
        lines += _metric("disk_free_bytes", "Room beyond the reserve.", [({}, report.room.free)])
        if report.room.full_at is not None:
            at = report.room.full_at
            lines += _metric("disk_full_timestamp_seconds", "When the disk is full.", [({}, at)])
    return "\n".join(lines) + "\n"


def _hosts(report: Report) -> Iterable[str]:
    hosts = report.hosts
    well = [({"host": h.name}, float(h.state in ("well", "warning", "waiting"))) for h in hosts]
    yield from _metric("host_well", "1 unless there is an error.", well)
    newest = [({"host": h.name}, h.newest_set) for h in hosts if h.newest_set is not None]
    yield from _metric("host_newest_set_timestamp_seconds", "When its newest set came.", newest)
    fulls = [({"host": h.name}, h.newest_full) for h in hosts if h.newest_full is not None]
    yield from _metric("host_newest_full_timestamp_seconds", "When its newest full came.", fulls)
    sizes = [({"host": h.name}, h.newest_size) for h in hosts if h.newest_size is not None]
    yield from _metric("host_newest_set_bytes", "The size of its newest set.", sizes)
    yield from _metric("host_sets", "Its finished sets.", [({"host": h.name}, h.sets) for h in hosts])
    yield from _metric("host_kept_bytes", "All it has here.", [({"host": h.name}, h.size) for h in hosts])


def _metric(name: str, what: str, samples: Iterable[Sample]) -> list[str]:
    lines = [f"# HELP nightdrop_{name} {what}", f"# TYPE nightdrop_{name} gauge"]
    for labels, value in samples:
        inside = ",".join(f'{label}="{_escaped(text)}"' for label, text in labels.items())
        set_of_labels = f"{{{inside}}}" if inside else ""
        lines.append(f"nightdrop_{name}{set_of_labels} {_number(value)}")
    return lines if len(lines) > 2 else []


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) else f"{value:.3f}"


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
