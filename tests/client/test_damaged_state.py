"""Local metadata in which the disk, or somebody, changed an octet: nothing is built on it."""

import re
from pathlib import Path

import pytest

from house import House, run
from trees import describe, differences

FULL = "a full: there is none to build on"


@pytest.mark.parametrize(
    ("damaged", "made"),
    [
        ("archive/backup/duplicity-full.*.manifest", FULL),
        ("archive/backup/duplicity-full-signatures.*.sigtar.gz", FULL),
        ("archive/backup/duplicity-inc.*.manifest", "an incremental: on top of duplicity-full."),
        (
            "archive/backup/duplicity-new-signatures.*.sigtar.gz",
            "an incremental: on top of duplicity-full.",
        ),
        ("recipients/*.pem", FULL),
    ],
)
def test_what_is_whole_is_built_on_and_it_restores(
    house: House, tmp_path: Path, damaged: str, made: str
) -> None:
    (house.source / "stays").write_text("as it was in the full")
    (house.source / "changes").write_text("one")
    house.backup()
    (house.source / "changes").write_text("two")
    assert house.backup()["type"] == "inc"
    [path] = house.state.glob(damaged)
    flip_an_octet(path)
    (house.source / "changes").write_text("three")
    said = run("backup", "--config", house.config).stdout
    kind = "full" if made == FULL else "inc"
    assert re.search(
        rf"^nothing new will build on duplicity-{kind}\..*: its local metadata is damaged$", said, re.M
    )
    assert f"\nmaking {made}" in said
    house.let_a_second_pass()
    (house.source / "changes").write_text("four")
    assert house.backup()["type"] == "inc", "the chain goes on"
    restored = house.restore(tmp_path / "restored")
    assert differences(describe(house.source), describe(restored)) == {}
    house.assert_mirrors_are_honest()


def flip_an_octet(path: Path) -> None:
    """Change one in the middle; size and time stay."""
    octets = bytearray(path.read_bytes())
    octets[len(octets) // 2] ^= 1
    with path.open("r+b") as file:
        file.write(octets)
