"""FORMAT.md, taken apart: its blocks of code, its sections, its tables."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
FORMAT = (ROOT / "docs" / "FORMAT.md").read_text()


def block(title: str) -> str:
    """The one block of code with this title."""
    [found] = re.findall(rf'^```[a-z]+ title="{title}"\n(.*?)^```$', FORMAT, re.DOTALL | re.MULTILINE)
    return str(found)


def section(heading: str) -> str:
    """What stands below a heading, down to the next one of any level."""
    [found] = re.findall(rf"^#+ {heading}\n(.*?)(?=^#|\Z)", FORMAT, re.DOTALL | re.MULTILINE)
    return str(found)


def tables(text: str) -> list[list[list[str]]]:
    """The tables in a text: rows of cells, without their heads."""
    found = []
    for table in re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE):
        rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()]
        found.append(rows[2:])
    return found
