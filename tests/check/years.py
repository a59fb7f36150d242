"""Years of a host's sets, made of facts alone: judged day by day, as its mirror would have judged them.

Only what lies in files is left out; names, times, sizes, receipts and what hangs by them are as a real
host makes them.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from zoneinfo import ZoneInfo

from nightdrop.checking import CheckSettings, Expected
from nightdrop.enrolment import EnrolledHost
from nightdrop.mirror import Mirror, load_mirror
from nightdrop.names import SetKey, format_time, parse_name
from nightdrop.receipts import Receipt, ReceiptFile, Source
from nightdrop_check.contents import Contents
from nightdrop_check.findings import Finding
from nightdrop_check.rules import HOST_RULES
from nightdrop_check.shelf import ReadReceipt, Shelf, ShelfFile, ShelfSet, shelf_set
from nightdrop_check.view import View

BERLIN = ZoneInfo("Europe/Berlin")
FIRST = date(2027, 9, 1)
"""The year that follows has a leap day, and both changes of the clock."""
DAYS = 366


@dataclass(frozen=True)
class Night:
    """What one night brought: octets of the set, and of its source; its files; whether it is a full."""

    size: int
    source: int
    files: int = 10_000
    full: bool = False


History = Callable[[int], Night | None]
"""What the night of a day brought, None for nothing."""


def codes_of_a_year(
    history: History, settings: CheckSettings | None = None, days: Sequence[int] = range(DAYS)
) -> dict[str, list[int]]:
    """On which of these days each code was told, of every severity but `info`."""
    told: dict[str, list[int]] = {}
    for day, findings in judged(history, settings, days):
        for code in {finding.code for finding in findings if finding.severity != "info"}:
            told.setdefault(code, []).append(day)
    return told


def judged(
    history: History, settings: CheckSettings | None = None, days: Sequence[int] = range(DAYS)
) -> Iterator[tuple[int, list[Finding]]]:
    """The findings of these days, judged at seven in the morning; the host runs at half past two."""
    mirror = _mirror(settings or usual())
    sets: list[ShelfSet] = []
    for day in range(DAYS):
        if (night := history(day)) is not None:
            # On the night when clocks go forward there is no such time: zoneinfo makes it half past one.
            when = _local(day, 2, 30)
            sets.append(_set(night, when, sets[-1] if sets else None))
        if day not in days:
            continue
        shelf = Shelf("web1", True, tuple(sets), (), (), (), True, len(sets), 0)
        now = _local(day, 7, 0).timestamp()
        view = View(
            mirror,
            EnrolledHost("web1", "duplicity", "2027-08-31T00:00:00Z", 0),
            shelf,
            Contents((), {}),
            None,
            now,
        )
        yield day, [finding for rule in HOST_RULES for finding in rule(view)]


def usual(late_after: int = 3, full_late_after: int = 37) -> CheckSettings:
    """The settings that a mirror has when nobody says otherwise. In days."""
    expected = Expected(late_after * 86400, full_late_after * 86400)
    return CheckSettings(Path("/"), expected, (), 0, 600, 90 * 86400, 0, None, None, "", None)


def _local(day: int, hour: int, minute: int) -> datetime:
    on = FIRST + timedelta(days=day)
    return datetime(on.year, on.month, on.day, hour, minute, tzinfo=BERLIN)


def _set(night: Night, when: datetime, before: ShelfSet | None) -> ShelfSet:
    if night.full or before is None:
        key = SetKey("duplicity", format_time(when), "full")
    else:
        key = SetKey("duplicity", format_time(when), "inc", before.key.end)
    received = when.timestamp() + 60
    names = [f"{key.stem}.vol1.difftar.p7m", key.signatures_name, key.manifest_name]
    files = {}
    for name, size in zip([*names, key.receipt_name], (night.size, 900, 300, 700), strict=True):
        parsed = parse_name(name)
        assert parsed is not None
        files[name] = ShelfFile(parsed, size, received, received, None)
    stated = tuple(ReceiptFile(name, files[name].size, "0" * 64) for name in names)
    digest = key.end.ljust(64, "0")
    previous = before.key.end.ljust(64, "0") if before else ""
    stamp = datetime.fromtimestamp(received, ZoneInfo("UTC")).strftime("%Y-%m-%dT%H:%M:%SZ")
    receipt = Receipt(
        host="web1",
        set=key.stem,
        type=key.type,
        started=stamp,
        finished=stamp,
        files=stated,
        recipients=("0" * 64,),
        tool="test",
        source=Source(("/srv",), night.source, night.files, 0),
        previous=previous,
    )
    return shelf_set(key, files, ReadReceipt(receipt, "usable", "", digest), frozenset((digest,)), ())


def _mirror(settings: CheckSettings) -> Mirror:
    with TemporaryDirectory() as folder:
        config = Path(folder) / "mirror.toml"
        config.write_text('name = "m"\nvault = "v"\nurl = "https://m:1"\nrecipients = []\n')
        return replace(load_mirror(config), check=settings)
