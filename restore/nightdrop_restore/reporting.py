"""How a restore went: for people, and for programs."""

import json
from collections.abc import Iterator
from pathlib import Path

from nightdrop.text import count, format_duration, format_size, harmless
from nightdrop_restore.noting import Restored
from nightdrop_restore.origin import Origin
from nightdrop_restore.reasons import Reasons


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


def json_lines(origin: Origin, to: Path, done: Restored) -> Iterator[str]:
    """The same as one JSON object, in lines: sizes in octets, times as names write them."""
    facts = {
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
        "failed_sources": done.failed_sources,
    }
    yield json.dumps(facts, indent=1).removesuffix("\n}") + ","
    yield ' "unlike": {'
    yield from _members(done.unlike)
    yield ' },\n "unrestored": {'
    yield from _members(done.unrestored)
    yield " }\n}"


def _members(told: Reasons) -> Iterator[str]:
    last = len(told)
    for number, (path, reason) in enumerate(told.items(), 1):
        yield f"  {json.dumps(path)}: {json.dumps(reason)}{',' if number < last else ''}"


def _by_reason(what: str, told: Reasons) -> Iterator[str]:
    if not told:
        return
    yield f"{what}: {count(len(told), 'file')}"
    for reason, paths in told.by_reason():
        yield f"  {harmless(reason, 1000)}:"
        yield from (f"    {harmless(path, 5000)}" for path in paths)
