"""The check's units, as far as systemd can judge them without running them."""

from pathlib import Path

import pytest

import nightdrop_check

from units import complaints, exposure

UNITS = Path(nightdrop_check.__file__).parent / "systemd"


def test_the_units_are_right(tmp_path: Path) -> None:
    assert complaints(UNITS, tmp_path) == []


@pytest.mark.parametrize("unit", ["look", "report", "scrub", "send"])
def test_the_sandbox_is_tight(unit: str) -> None:
    """What is left is the network, for mails, and a scrub's disk."""
    assert exposure(UNITS / f"nightdrop-{unit}.service") < 2
