"""Facts as the check says them: names, parts of sets, ages."""

from collections.abc import Iterable
from itertools import islice

from nightdrop.drills import Drill
from nightdrop.names import parse_name
from nightdrop.text import count, format_duration, format_size, harmless


def some(names: Iterable[str], most: int = 3) -> str:
    """Names as a sentence takes them: the first few, harmless, and how many more."""
    shown = list(names)
    texts = [harmless(name, 120) for name in shown[:most]]
    if (more := len(shown) - most) > 0:
        return f"{', '.join(texts)} and {more:,} more"
    return " and ".join(part for part in (", ".join(texts[:-1]), *texts[-1:]) if part)


def listed(names: Iterable[str], most: int = 100) -> list[str]:
    """Names as data takes them: harmless, and at most so many."""
    return [harmless(name) for name in islice(names, most)]


def part_of_set(name: str) -> str:
    """What a file is to its set, next to which the set is named: `volume 3`, `the manifest`."""
    parsed = parse_name(name)
    if parsed is None:
        return harmless(name, 120)
    if parsed.volume is not None:
        return f"volume {parsed.volume}"
    words = {"stream": "the content", "receipt-signature": "the receipt's signature"}
    return words.get(parsed.part, f"the {parsed.part}")


def ago(seconds: float) -> str:
    """How long ago, as coarsely as one would say it: `just now`, `6 h ago`, `1 day ago`."""
    if seconds < 60:
        return "just now"
    return f"{span(seconds)} ago"


def span(seconds: float) -> str:
    """A duration in its largest unit: `20 min`, `6 h`, `12 days`. Days begin at 48 h."""
    if seconds < 3600:
        return f"{max(0, seconds) // 60:.0f} min"
    if seconds < 48 * 3600:
        return f"{seconds // 3600:.0f} h"
    return count(int(seconds // 86400), "day")


def drill_in_words(drill: Drill, now: float) -> str:
    """A drill in words: `40 days ago, 12 of 12 files, 80 MB in 31 s`."""
    files = f"{drill.good:,} of {count(drill.files, 'file')}"
    return (
        f"{ago(now - drill.at)}, {files}, {format_size(drill.size)} in {format_duration(drill.seconds)}"
    )
