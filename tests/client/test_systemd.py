"""The client's units, as far as systemd can judge them without running them; tests/lab/evening does."""

import re
from pathlib import Path

import nightdrop
import nightdrop_client

from units import complaints, exposure

UNITS = Path(nightdrop_client.__file__).parent / "systemd"
FAILED = Path(nightdrop.__file__).parent / "systemd" / "nightdrop-failed@.service"


def test_the_units_are_right(tmp_path: Path) -> None:
    assert complaints(UNITS, tmp_path) == []


def test_the_sandbox_is_as_tight_as_a_backup_of_everything_allows() -> None:
    assert exposure(UNITS / "nightdrop-backup@.service") < 3


def test_every_hardening_that_would_hide_files_is_left_out() -> None:
    """With any of these, files of others would be missing from a backup of /, or belong to nobody."""
    text = (UNITS / "nightdrop-backup@.service").read_text()
    settings = dict(re.findall(r"^(\w+)=(.*)$", text, re.MULTILINE))
    for hiding in (
        "ProtectHome",
        "PrivateTmp",
        "ProtectKernelModules",
        "PrivateUsers",
        "InaccessiblePaths",
    ):
        assert hiding not in settings
    assert settings["CapabilityBoundingSet"] == "CAP_DAC_READ_SEARCH"
    assert settings["ProtectSystem"] == "strict"


def test_the_timer_is_each_hosts_own_and_makes_up_for_a_night_off() -> None:
    text = (UNITS / "nightdrop-backup@.timer").read_text()
    assert re.search(r"^RandomizedDelaySec=\dh$", text, re.MULTILINE)
    assert "\nFixedRandomDelay=yes\n" in text
    assert "\nPersistent=yes\n" in text


def test_a_failure_reaches_the_administrator() -> None:
    assert (
        "\nOnFailure=nightdrop-failed@%n.service\n" in (UNITS / "nightdrop-backup@.service").read_text()
    )
    assert "nightdrop-failed %i\n" in FAILED.read_text()
