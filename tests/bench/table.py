"""What a bench found, as a table, with the facts of the machine that it is worth nothing without."""

import os
import platform
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Row:
    """A line of the table: what was done, how well by us and by them, and what was wanted."""

    what: str
    ours: str
    theirs: str
    result: str
    wanted: str


def print_table(rows: Sequence[Row]) -> None:
    """As Markdown, in columns."""
    cells = [("", "nightdrop", "the other", "result", "wanted")]
    cells += [(row.what, row.ours, row.theirs, row.result, row.wanted) for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = ["| " + " | ".join(map(str.ljust, line, widths)) + " |" for line in cells]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    print("\n".join(lines))


def machine() -> str:
    """What the machine is, and how busy it is now."""
    facts = Path("/proc/cpuinfo").read_text()
    model = re.search(r"^model name\s*: (.*)$", facts, re.MULTILINE)
    sha = "with" if re.search(r"\bsha_ni\b", facts) else "without"
    load = " ".join(f"{of:.1f}" for of in os.getloadavg())
    name = model[1] if model else platform.machine()
    return (
        f"{os.cpu_count()} x {name}, {sha} instructions for SHA-256; "
        f"Python {platform.python_version()}; load {load}"
    )
