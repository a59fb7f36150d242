"""Records of drills: read as written, and nothing else is one."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.keyring import BOUNDED
from nightdrop.drills import Drill, DrilledHost, load_drills, parse_drill
from nightdrop.errors import NightdropError

DRILL = Drill(1_700_000_000.0, (DrilledHost("web1", "duplicity-full.20260102T030405Z", 12, 11, 80, 3.5),))


def test_read_as_written() -> None:
    assert parse_drill(DRILL.to_bytes()) == DRILL
    assert not DRILL.passed
    assert DRILL.name == "drill-20231114T221320Z.json"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("nightdrop-drill/1", "nightdrop-drill/2"),
        ('"web1"', '"../etc"'),
        ('"good": 11', '"good": 13'),
        ('"files": 12', '"files": -1'),
        ('"files": 12', '"files": "12"'),
        ('"seconds": 3.5', '"seconds": NaN'),
        ('"size"', '"other"'),
        ("2023-11-14", "yesterday"),
    ],
)
def test_what_is_no_record(old: str, new: str) -> None:
    octets = DRILL.to_bytes().decode()
    assert old in octets
    with pytest.raises(NightdropError):
        parse_drill(octets.replace(old, new).encode())


@BOUNDED
@given(st.binary(max_size=300))
def test_any_octets(octets: bytes) -> None:
    with pytest.raises(NightdropError):
        parse_drill(octets)


def test_the_newest_is_last_and_what_is_none_is_told(tmp_path: Path) -> None:
    assert load_drills(tmp_path / "drills") == ([], [])
    for at in (3.0, 1.0, 2.0):
        drill = Drill(at, DRILL.hosts)
        (tmp_path / f"{at}.json").write_bytes(drill.to_bytes())
    (tmp_path / "none.json").write_text("{}")
    drills, troubles = load_drills(tmp_path)
    assert [drill.at for drill in drills] == [1.0, 2.0, 3.0]
    [trouble] = troubles
    assert "none.json: it is no record of a drill" in trouble
