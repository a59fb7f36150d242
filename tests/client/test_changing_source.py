"""A source that does not hold still: the set is good all the same, and so is the next one."""

import os
import subprocess
from pathlib import Path

from house import House
from mirrors import NIGHTDROP, wait_until
from trees import describe, differences


def test_files_that_vanish_grow_shrink_and_change_while_they_are_read(
    house: House, tmp_path: Path
) -> None:
    """Each volume that arrives tells how far the run is: volume 1 holds the beginning of `b shrinks`."""
    source = house.source
    (source / "a stays").write_bytes(os.urandom(100_000))
    (source / "b shrinks").write_bytes(os.urandom(6_000_000))
    (source / "c grows").write_bytes(os.urandom(6_000_000))
    (source / "d vanishes").write_text("x")
    (source / "e changes").write_text("before")
    (source / "folder").mkdir()
    (source / "folder" / "goes with its folder").write_text("x")
    (source / "z stays").write_text("to the end")
    command = [*NIGHTDROP, "backup", "--config", house.config, "--json"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)

    def volumes() -> int:
        return sum(".vol" in name for name in house.names())

    wait_until(lambda: volumes() >= 1, "the first volume")
    os.truncate(source / "b shrinks", 500_000)
    (source / "d vanishes").unlink()
    (source / "e changes").write_text("after")
    (source / "folder" / "goes with its folder").unlink()
    (source / "folder").rmdir()
    wait_until(lambda: volumes() >= 3 or process.poll() is not None, "the third volume")
    with (source / "c grows").open("ab") as file:
        file.write(os.urandom(2_000_000))
    assert process.wait(600) in (0, 3)

    restored = house.restore(tmp_path / "during")
    different = set(differences(describe(source), describe(restored)))
    assert different <= {b".", b"b shrinks", b"c grows", b"d vanishes", b"e changes", b"folder",
                         b"folder/goes with its folder"}  # fmt: skip
    assert (restored / "e changes").read_text() in ("before", "after")
    house.backup()
    restored = house.restore(tmp_path / "afterwards", mirror=1)
    assert differences(describe(source), describe(restored)) == {}
