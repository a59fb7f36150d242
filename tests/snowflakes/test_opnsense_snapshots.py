"""A firewall's snapshots: which there are between two runs, whatever the runs came to."""

import os
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from snowflakes.clients import RUN
from snowflakes.firewalls import Firewall, Zfs

from gates import way_to
from mirrors import PATIENCE, wait_for, wait_until

LATER = "nightdrop-29990101T000000Z"


def test_what_is_remembered_of_the_base(tmp_path: Path, zfs: Zfs, firewall: Firewall) -> None:
    """Of a pool with a blank in its name, beside one that is called like its first word."""
    zfs.pool("my", tmp_path)
    zfs.pool("my pool", tmp_path)
    zfs.run("zfs", "create", "my pool/a b:c")
    (firewall.folder / "opnsense.conf").write_text("pool=my pool\n")
    firewall.memory = firewall.folder / "state" / "zfs.my_pool"
    older, mine = "nightdrop-20200101T000000Z", "nightdrop-of-mine"
    for snapshot in (f"my@{older}", f"my pool@{older}", f"my pool@{LATER}", f"my pool@{mine}"):
        zfs.run("zfs", "snapshot", snapshot)
    said = firewall.run("zfs")
    assert "error" not in said

    def only_the_base() -> str:
        base = firewall.memory.read_text().split()[0]
        names = [f"my pool/a b:c@{base}", f"my pool@{base}", f"my pool@{mine}"]
        assert sorted(zfs.snapshots("my pool")) == sorted(names)
        return base

    # What runs left that were killed is gone, even if the clock was wrong then; all else stays.
    base = only_the_base()
    assert zfs.snapshots("my") == [f"my@{older}"]
    # What cannot be written down does not happen: the old base stays.
    in_the_way = firewall.memory.with_suffix(".my_pool.new")
    in_the_way.mkdir()
    assert "does not become the base" in firewall.run("zfs")
    assert only_the_base() == base
    in_the_way.rmdir()
    # After a power cut.
    firewall.memory.write_text("")
    assert "does not say what the last base was: making a full" in firewall.run("zfs")
    only_the_base()
    # What is new never had the base.
    zfs.run("zfs", "create", "my pool/new")
    assert "error" not in firewall.run("zfs")
    gone = zfs.inside("zfs", "destroy", "-r", "my pool/new")
    wait_for(
        lambda: subprocess.run(gone, check=False).returncode == 0, "zfs-fuse lets go of what it sent"
    )
    # Somebody rolls back a part of the pool, and the base is gone there.
    zfs.run("zfs", "destroy", f"my pool/a b:c@{only_the_base()}")
    assert "my pool/a b:c@nightdrop-" in (said := firewall.run("zfs")), said
    assert "the base of the next incremental, is gone: making a full of my pool instead" in said
    only_the_base()
    # The clock was wrong when the base was made, and is right again.
    zfs.run("zfs", "snapshot", "-r", f"my pool@{LATER}")
    firewall.memory.write_text(f"{LATER} 32472144000\n")
    said = firewall.run("zfs")
    assert f"the clock is behind my pool@{LATER}, the base of the next incremental: making a full" in said
    assert only_the_base() != LATER
    assert [name.split(".")[0] for name in firewall.sets()] == [
        *("my_pool-full", "my_pool-inc", "my_pool-full", "my_pool-inc", "my_pool-full", "my_pool-full")
    ]
    # The pool has vanished; /conf is dropped all the same.
    zfs.run("zpool", "export", "my pool")
    assert 'there is no pool "my pool"' in firewall.run("run", expect=2)
    assert firewall.sets()[-1].startswith("conf-full.")


@contextmanager
def held_while_sending(firewall: Firewall) -> Iterator[tuple[subprocess.Popen[bytes], threading.Event]]:
    """A run whose one volume is on its way, and gets no further until the event is set."""
    opened = threading.Event()

    def hold(_connection: int, before: int, _piece: bytes) -> None:
        if before > 20_000:
            opened.wait()

    with (
        way_to(firewall.mirror.port, hold) as port,
        firewall.sent_to(port),
        subprocess.Popen(firewall.command("zfs"), env=firewall.variables()) as process,
    ):
        try:
            # Of these few octets: zfs-fuse never lets go of the snapshots of a send that is ended.
            wait_for(
                lambda: list(firewall.temporary.glob("nightdrop~*/run/status.source")), "zfs has sent"
            )
            wait_for(lambda: firewall.stage("curl.mirror-f"), "a volume is on its way")
            yield process, opened
        finally:
            opened.set()


def test_two_runs_at_once(tmp_path: Path, zfs: Zfs, firewall: Firewall) -> None:
    """The second is skipped, and leaves the snapshots of the first alone."""
    zfs.pool("tank", tmp_path, "-m", tmp_path / "tank")
    zfs.run("zfs", "create", "tank/var")
    (zfs.root / str(tmp_path / "tank")[1:] / "var" / "noise").write_bytes(os.urandom(100_000))
    with held_while_sending(firewall) as (first, _):
        before = zfs.snapshots("tank")
        assert len(before) == 2
        assert "a run is under way already, of the pool: process" in firewall.run("zfs", expect=1)
        # Of /conf, too, but then the pool's turn is not taken.
        assert "a run is under way already" in firewall.run("conf", expect=1)
        assert zfs.snapshots("tank") == before
    assert first.wait(RUN) == 0
    assert len(firewall.sets()) == 1


def test_two_configurations(tmp_path: Path, zfs: Zfs, firewall: Firewall) -> None:
    """Of one pool, for two hosts: each has a base of its own, and never more, and they take turns."""
    zfs.pool("tank", tmp_path, "-m", tmp_path / "tank")
    other = Firewall(firewall.root, zfs, firewall.mirror, host="fw2", folder="other")
    for _ in range(3):
        for each in (firewall, other):
            assert "error" not in each.run("zfs")
    assert sorted(zfs.snapshots("tank")) == sorted([firewall.base(), other.base()])
    for each in (firewall, other):
        assert [name.split(".")[0] for name in each.sets()] == ["tank-full", "tank-inc", "tank-inc"]
    # Not even where one was made as a copy of the other.
    other.memory.write_text(firewall.memory.read_text())
    assert "does not say what the last base was: making a full" in other.run("zfs")
    assert sorted(zfs.snapshots("tank")) == sorted([firewall.base(), other.base()])
    (zfs.root / str(tmp_path / "tank")[1:] / "noise").write_bytes(os.urandom(100_000))
    with held_while_sending(firewall):
        before = zfs.snapshots("tank")
        assert "a run is under way already, of the pool: process" in other.run("zfs", expect=1)
        assert zfs.snapshots("tank") == before


def test_interrupted_and_killed(tmp_path: Path, zfs: Zfs, firewall: Firewall) -> None:
    zfs.pool("tank", tmp_path, "-m", tmp_path / "tank")
    noise = zfs.root / str(tmp_path / "tank" / "noise")[1:]
    firewall.run("zfs")
    base = firewall.base()
    # Whoever stops it stops all of it, at once, and nothing is left.
    noise.write_bytes(os.urandom(100_000))
    with held_while_sending(firewall) as (run, _):
        assert len(zfs.snapshots("tank")) == 2
        run.terminate()
        assert run.wait(PATIENCE) == 143
        assert zfs.snapshots("tank") == [base]
        assert not list(firewall.temporary.iterdir())
    # Killed, it leaves the one that sends, which goes on to its end; but nobody moves the base.
    with held_while_sending(firewall) as (run, opened):
        run.kill()
        run.wait()
        assert len(zfs.snapshots("tank")) == 2
        opened.set()
        wait_until(lambda: not list(firewall.temporary.iterdir()), "the one that sends has ended")
    assert len(firewall.sets()) == 2
    assert firewall.base() == base
    # The next run starts from the same base, and leaves no other.
    firewall.run("zfs")
    assert firewall.base() != base
    assert zfs.snapshots("tank") == [firewall.base()]
    assert [name.split(".")[0] for name in firewall.sets()] == ["tank-full", "tank-inc", "tank-inc"]
    assert not list((firewall.root / "var" / "run" / "nightdrop").iterdir())


def test_a_snapshot_that_cannot_be_destroyed(tmp_path: Path, zfs: Zfs, firewall: Firewall) -> None:
    """Is told, and the backup is one."""
    zfs.pool("tank", tmp_path)
    firewall.run("zfs")
    old = firewall.base()
    zfs.run("zfs", "hold", "mine", old)
    said = firewall.run("zfs")
    assert f"{old}: the snapshot cannot be destroyed now: cannot destroy '{old}': dataset is busy" in said
    assert zfs.snapshots("tank") == [old, firewall.base()]
    zfs.run("zfs", "clone", "-o", "canmount=off", old, "tank/clone")
    zfs.run("zfs", "release", "mine", old)
    said = firewall.run("zfs")
    assert f"cannot destroy '{old}': snapshot" in said
    zfs.run("zfs", "destroy", "-r", "tank/clone")
    assert "error" not in firewall.run("zfs")
    assert zfs.snapshots("tank") == [firewall.base()]
    assert [name.split(".")[0] for name in firewall.sets()] == ["tank-full", *["tank-inc"] * 3]


def test_no_room_for_a_snapshot(tmp_path: Path, zfs: Zfs, firewall: Firewall) -> None:
    """What killed runs left goes before a snapshot is made: it may be what fills the pool."""
    zfs.pool("tank", tmp_path, "-m", tmp_path / "tank")
    large = zfs.root / str(tmp_path / "tank" / "large")[1:]
    large.write_bytes(os.urandom(40_000_000))
    zfs.run("zfs", "snapshot", "tank@nightdrop-20200101T000000Z")
    large.unlink()

    def fill() -> None:
        subprocess.run(
            ["sh", "-c", "cat /dev/urandom >$0; sync", large], capture_output=True, check=False
        )

    fill()
    assert "out of space" in zfs_says(zfs, "snapshot", "tank@mine")
    firewall.run("zfs")
    assert zfs.snapshots("tank") == [firewall.base()]
    large.with_name("more").touch()
    large = large.with_name("more")
    fill()
    said = firewall.run("run", expect=1)
    assert "the snapshot cannot be made: cannot create snapshot 'tank@nightdrop-" in said
    assert said.count("out of space") == said.count("nightdrop: error: ") == 1
    assert zfs.snapshots("tank") == [firewall.base()]
    assert [name.split(".")[0] for name in firewall.sets()] == ["tank-full", "conf-full"]


def zfs_says(zfs: Zfs, *words: str) -> str:
    """What it says when it refuses something."""
    done = subprocess.run(zfs.inside("zfs", *words), capture_output=True, text=True, check=False)
    assert done.returncode == 1
    return done.stderr


def test_settings(tmp_path: Path, zfs: Zfs, firewall: Firewall) -> None:
    settings = firewall.folder / "opnsense.conf"
    for line, expected in {
        "pool=": "/ is on no ZFS pool",
        "pools=tank": f"{settings}: no setting: pools=tank",
        "full_every=monthly": f'{settings}: full_every has to be days, and is "monthly"',
        "full_every=030": f'{settings}: full_every has to be days, and is "030"',
    }.items():
        settings.write_text(line)  # the last line without an end counts, too
        said = firewall.run("zfs", expect=2)
        assert f"nightdrop: error: {expected}" in said
        assert said.count("nightdrop: error: ") == 1
