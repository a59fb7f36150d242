"""A source that does not hold still: the set is good all the same, and so is the next one."""

import errno
import os
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path

from nightdrop_client.opening import open_seen

from house import House
from mirrors import NIGHTDROP, wait_until
from trees import describe, differences

NOBODY = 65534


def test_files_that_vanish_grow_shrink_and_change_while_they_are_read(
    house: House, tmp_path: Path
) -> None:
    """Each volume that arrives tells how far the run is: volume 1 holds the beginning of `b shrinks`.

    What is changed has another time, whole seconds apart, before the next run: where a look at a file
    and a change of it share a second, duplicity sees no change.
    """
    source = house.source
    (source / "a stays").write_bytes(os.urandom(100_000))
    (source / "b shrinks").write_bytes(os.urandom(6_000_000))
    (source / "c grows").write_bytes(os.urandom(6_000_000))
    (source / "d vanishes").write_text("x")
    (source / "e changes").write_text("before")
    (source / "folder").mkdir()
    (source / "folder" / "goes with its folder").write_text("x")
    (source / "z stays").write_text("to the end")
    for path in source.rglob("*"):
        # duplicity tells changes by whole seconds.
        os.utime(path, (1, 1))
    command = [*NIGHTDROP, "backup", "--config", house.config, "--json"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)

    def volumes() -> int:
        return sum(".vol" in name for name in house.names())

    wait_until(lambda: volumes() >= 1, "the first volume")
    os.truncate(source / "b shrinks", 500_000)
    (source / "d vanishes").unlink()
    with (source / "e changes").open("r+") as file:
        # At once, so that there is no moment at which it is empty.
        file.write("after!")
    (source / "folder" / "goes with its folder").unlink()
    (source / "folder").rmdir()
    wait_until(lambda: volumes() >= 3 or process.poll() is not None, "the third volume")
    with (source / "c grows").open("ab") as file:
        file.write(os.urandom(2_000_000))
    assert process.wait(600) in (0, 3)
    for path in source.rglob("[bce] *"):
        os.utime(path, (2, 2))

    restored = house.restore(tmp_path / "during")
    different = set(differences(describe(source), describe(restored)))
    assert different <= {b".", b"b shrinks", b"c grows", b"d vanishes", b"e changes", b"folder",
                         b"folder/goes with its folder"}  # fmt: skip
    assert (restored / "e changes").read_text() in ("before", "after!")
    house.backup()
    restored = house.restore(tmp_path / "afterwards", mirror=1)
    assert differences(describe(source), describe(restored)) == {}


def test_a_file_whose_place_something_else_took_is_not_read(tmp_path: Path) -> None:
    """Between the look at it and its opening, its owner puts a link, a pipe or another's file there."""
    theirs, secret = tmp_path / "theirs", tmp_path / "secret"
    secret.write_text("secret")
    theirs.write_text("mine")
    os.chown(theirs, NOBODY, NOBODY)
    seen = theirs.lstat()

    def replaced(make: Callable[[], object]) -> bool:
        theirs.unlink()
        make()
        try:
            with os.fdopen(open_seen(os.fsencode(theirs), seen), "rb") as file:
                assert file.read() == b"anew"
        except OSError as error:
            # Of any other, duplicity would die.
            assert error.errno in (errno.ENOENT, errno.EIO)
            return False
        return True

    def anew() -> None:
        theirs.write_text("anew")
        os.chown(theirs, NOBODY, NOBODY)

    assert not replaced(lambda: theirs.symlink_to(secret))
    assert not replaced(lambda: theirs.hardlink_to(secret))
    assert not replaced(lambda: os.mkfifo(theirs))
    with socket.socket(socket.AF_UNIX) as listening:
        assert not replaced(lambda: listening.bind(str(theirs)))
    assert replaced(anew)
