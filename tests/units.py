"""systemd's own judgement of unit files, without running them."""

import re
import subprocess
import sys
from pathlib import Path

_COMMAND = str(Path(sys.executable).with_name("nightdrop"))


def complaints(folder: Path, scratch: Path) -> list[str]:
    """What `systemd-analyze verify` says of the units in a folder; the command in them is this one's."""
    units = [
        unit for unit in sorted(folder.iterdir()) if unit.suffix in (".service", ".socket", ".timer")
    ]
    assert units
    for unit in units:
        text = unit.read_text().replace("/opt/nightdrop/.venv/bin/nightdrop", _COMMAND)
        (scratch / unit.name.replace("@.", "@client.")).write_text(text)
    command = ["systemd-analyze", "verify", *sorted(map(str, scratch.iterdir()))]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return [line for line in done.stderr.splitlines() if "nightdrop" in line]


def exposure(unit: Path) -> float:
    """systemd's measure of a service's sandbox, from 10 (none) to 0."""
    command = [
        "systemd-analyze",
        "security",
        "--offline=true",
        "--no-pager",
        "--threshold=100",
        str(unit),
    ]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    found = re.search(r"Overall exposure level for \S+: ([\d.]+)", done.stdout)
    assert found is not None, done.stdout
    return float(found[1])
