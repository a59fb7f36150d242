"""`scrub-overdue`: files have not been read for so long that a look reads too little."""

from collections.abc import Iterator

from nightdrop.text import format_size
from nightdrop_check.findings import Finding
from nightdrop_check.view import House
from nightdrop_check.words import span


def judge(house: House) -> Iterator[Finding]:
    """See how long the file waits that waits longest."""
    coverage, settings = house.coverage, house.mirror.check
    if coverage is None or coverage.waiting_since is None:
        return
    waiting = house.now - coverage.waiting_since
    if waiting > settings.scrub_every:
        share = f"{format_size(coverage.size_read)} of {format_size(coverage.size)}"
        yield Finding(
            "scrub-overdue",
            "warning",
            "",
            "",
            f"there are files that were not read for {span(waiting)}; {share} were in the last 30 days",
            "`nightdrop check --scrub-all` reads everything; `scrub_time` and `scrub_size` under [check] "
            "in mirror.toml say how much every look reads",
            {"waiting_since": coverage.waiting_since, "size": coverage.size, "read": coverage.size_read},
        )
