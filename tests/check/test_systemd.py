"""The check's units, as far as systemd can judge them without running them."""

import re
from pathlib import Path

import pytest

import nightdrop_check
from check.vaults import Mirror

from house import run
from units import complaints, exposure

UNITS = Path(nightdrop_check.__file__).parent / "systemd"


def test_the_units_are_right(tmp_path: Path) -> None:
    assert complaints(UNITS, tmp_path) == []


@pytest.mark.parametrize("unit", ["look", "report", "scrub", "send"])
def test_the_sandbox_is_tight(unit: str) -> None:
    """What is left is the network, for mails, and a scrub's disk."""
    assert exposure(UNITS / f"nightdrop-{unit}.service") < 2


@pytest.mark.parametrize("unit", sorted(UNITS.glob("*.service")), ids=lambda p: p.name)
def test_units_run_commands_that_there_are(unit: Path, mirror: Mirror) -> None:
    (command,) = re.findall(r"^ExecStart=\S+ (.*)$", unit.read_text(), re.MULTILINE)
    words = command.replace("/etc/nightdrop/mirror.toml", str(mirror.config)).split()
    mirror.config.write_text(
        f'{mirror.config.read_text()}[check.mail]\nto = ["a@b.org"]\nsendmail = "/bin/true"\n'
    )
    run(*words)
    assert (unit.with_suffix(".timer")).exists()
