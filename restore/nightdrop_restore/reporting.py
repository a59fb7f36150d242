"""How a restore went: for people, and for programs."""

from collections.abc import Iterator, Mapping
from pathlib import Path

from nightdrop.text import count, format_duration, format_size, harmless
from nightdrop_restore.noting import Restored
from nightdrop_restore.origin import Origin


def is_partial(origin: Origin, done: Restored) -> bool:
    """Whether what is there now is less than what was asked for, or may be of somebody else's making."""
    older = not all(one.unfinished for one in origin.passed_over)
    less = done.warnings or done.unlike or done.unrestored or done.failed_sources
    return bool(less or older or origin.unsigned or any(one.doubtful for one in origin.chain))


def lines(origin: Origin, done: Restored) -> Iterator[str]:
    """The summary, and all that is not as it was."""
    entries = f"{done.files:,} entr{'y' if done.files == 1 else 'ies'}"
    yield (
        f"done: {entries}, {format_size(done.octets)}, in {format_duration(done.seconds)} "
        f"({format_size(done.read)} of {count(len(origin.chain), 'set')} read)"
    )
    yield from (f"note: {harmless(text, 1000)}" for text in done.elsewhere)
    yield from (f"warning: {harmless(text, 1000)}" for text in done.warnings)
    for place in done.failed_sources:
        yield (
            f"not whole in this backup: {harmless(place)}: its source failed in that run; "
            "an older --time may have it whole"
        )
    yield from _by_reason("not as it was", done.unlike)
    yield from _by_reason("not restored", done.unrestored)


def as_json(origin: Origin, to: Path, done: Restored) -> dict[str, object]:
    """The same as facts: sizes in octets, times as names write them."""
    return {
        "host": origin.host,
        "time": origin.chain[-1].key.end,
        "sets": [one.key.stem for one in origin.chain],
        "to": str(to),
        "entries": done.files,
        "size": done.octets,
        "read": done.read,
        "seconds": round(done.seconds, 1),
        "passed_over": {one.key.stem: one.hindrance for one in origin.passed_over},
        "unsigned": origin.unsigned,
        "passed_receipts": [text for one in origin.chain for text in one.passed_receipts],
        "elsewhere": done.elsewhere,
        "warnings": done.warnings,
        "unlike": done.unlike,
        "unrestored": done.unrestored,
        "failed_sources": done.failed_sources,
    }


def _by_reason(what: str, paths: Mapping[str, str]) -> Iterator[str]:
    if not paths:
        return
    yield f"{what}: {count(len(paths), 'file')}"
    for reason in dict.fromkeys(paths.values()):
        yield f"  {harmless(reason, 1000)}:"
        yield from (
            f"    {harmless(path, 5000)}" for path in sorted(p for p, r in paths.items() if r == reason)
        )
