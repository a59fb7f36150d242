"""Many hosts are judged by several processes."""

import pytest

from check.vaults import HOUR, NIGHT, Mirror, Shelves
from nightdrop_check import workers


def test_several_processes_see_what_one_sees(mirror: Mirror, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(6):
        mirror.enroll(f"host{number}")
        mirror.full(f"host{number}", NIGHT)
    shelves = Shelves(mirror.config, "host3", NIGHT.timestamp() + HOUR)
    shelves.path("volume").unlink()
    alone = shelves.check()
    for path in mirror.folder.glob("state/check.sqlite*"):
        path.unlink()
    monkeypatch.setattr(workers, "WORTH_IT", 2)
    monkeypatch.setattr(workers, "processes", lambda: 2)
    assert [finding.code for finding in alone.findings] == ["incomplete"]
    for _ in range(2):
        together = shelves.check()
        assert (together.hosts, together.findings) == (alone.hosts, alone.findings)
