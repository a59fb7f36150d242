"""A firewall on ZFS: fulls and incrementals of a pool, some that break off, and all of it restored."""

import configparser
import os
import subprocess
import time
from pathlib import Path

from snowflakes.clients import SNOWFLAKES, findings
from snowflakes.firewalls import SCRIPT, Firewall, Zfs, receive, tree

from gates import way_to
from house import Key
from mirrors import NIGHTDROP


def test_a_pool_goes_and_comes_back(tmp_path: Path, zfs: Zfs, firewall: Firewall, admin_key: Key) -> None:
    zfs.pool("tank", tmp_path, "-m", tmp_path / "tank")
    zfs.run("zfs", "create", "tank/var")
    files = zfs.root / str(tmp_path / "tank")[1:]
    (files / "var" / "big").write_bytes(os.urandom(3_000_000))

    # The first is a full, of everything.
    firewall.run("run")
    [base] = [name for name in zfs.snapshots("tank") if name.startswith("tank@")]
    assert base == firewall.base()
    # What changed, in an incremental; the base moves on.
    (files / "var" / "one").write_text("one")
    firewall.run("zfs")
    assert base not in zfs.snapshots("tank")
    base = firewall.base()
    assert zfs.snapshots("tank") == [base, base.replace("tank@", "tank/var@")]
    # Where a run is stopped before it begins to send, what it began is gone.
    firewall.mirror.stop()
    firewall.run("zfs", expect=1)
    assert zfs.snapshots("tank") == [base, base.replace("tank@", "tank/var@")]
    firewall.mirror.start()
    # A send that is killed costs nothing: no receipt, and the base stays. (zfs-fuse never lets go of the
    # snapshots of a killed send, so from here on nobody can tell by them which was destroyed.)
    (files / "var" / "two").write_bytes(os.urandom(3_000_000))
    firewall.run_and_kill_the_send()
    assert base == firewall.base()
    assert base in zfs.snapshots("tank")
    # The next ones make up for it; a new file system and a removed file among what changed.
    firewall.run("zfs")
    zfs.run("zfs", "create", "tank/log")
    (files / "log" / "three").write_text("three")
    (files / "var" / "one").unlink()
    firewall.run("zfs")

    sets = firewall.sets()
    assert [name.split(".")[0] for name in sets] == [
        *("conf-full", "tank-full", "tank-inc", "tank-inc", "tank-inc")
    ]
    # All that is told is what the killed send left, if it got that far.
    told = findings(firewall.mirror)
    assert all("was never finished" in one and "a later set is complete" in one for one in told), told

    # By the very commands that are printed.
    out, altroot = tmp_path / "out", tmp_path / "back"
    vault = firewall.mirror.vault
    words = ["restore", "open", vault, "--host", "fw1", "--kind", "tank", *admin_key.arguments, "-o", out]
    said = subprocess.run([*NIGHTDROP, *words], check=True, capture_output=True, text=True).stdout
    commands = [line.strip() for line in said.splitlines() if line.startswith("  zfs receive")]
    assert len(commands) == 4
    zfs.pool("back", tmp_path, "-R", altroot)
    for command in commands:
        zfs.run("sh", "-c", command.replace("POOL/NAME", "back/fw1"))
    zfs.run("zfs", "mount", "-a")
    assert tree(zfs.root / str(altroot)[1:] / str(tmp_path / "tank")[1:]) == tree(files)

    # A lost base makes a full, said loudly.
    zfs.run("zfs", "destroy", "-r", firewall.base())
    said = firewall.run("zfs")
    assert "the base of the next incremental, is gone: making a full of tank instead" in said
    assert firewall.sets()[-1].startswith("tank-full.")
    # An old full makes a new one due, and one may be asked for.
    firewall.run("zfs")
    assert firewall.sets()[-1].startswith("tank-inc.")
    snapshot, full_at = firewall.memory.read_text().split()
    firewall.memory.write_text(f"{snapshot} {int(full_at) - 31 * 86400}\n")
    firewall.run("zfs")
    assert firewall.sets()[-1].startswith("tank-full.")
    assert time.time() - int(firewall.memory.read_text().split()[1]) < 3600


def test_a_receipt_that_comes_late(tmp_path: Path, zfs: Zfs, firewall: Firewall, admin_key: Key) -> None:
    """Two incrementals from one base are there then, and receiving both is right."""
    zfs.pool("tank", tmp_path, "-m", tmp_path / "tank")
    files = zfs.root / str(tmp_path / "tank")[1:]
    firewall.run("zfs")
    (files / "one").write_text("one")

    def end_the_third(connection: int, _before: int, _piece: bytes) -> None:
        # Greeted, and sent the stream; the receipt is the third.
        if connection >= 2:
            raise ConnectionAbortedError

    with way_to(firewall.mirror.port, end_the_third) as port, firewall.sent_to(port):
        assert "no mirror has the receipt" in firewall.run("zfs", expect=1)
    (files / "two").write_text("two")
    firewall.run("zfs")
    sets = firewall.sets()
    assert [name.split(".")[0] for name in sets] == ["tank-full", "tank-inc", "tank-inc"]
    zfs.pool("back", tmp_path, "-R", tmp_path / "back", "-m", tmp_path / "tank", "-O", "canmount=off")
    for stem in sets:
        receive(zfs, firewall, admin_key, stem, tmp_path)
    zfs.run("zfs", "set", "canmount=on", "back")
    zfs.run("zfs", "mount", "-a")
    assert tree(zfs.root / str(tmp_path / "back")[1:] / str(tmp_path / "tank")[1:]) == tree(files)


def test_installed_twice(firewall: Firewall) -> None:
    """From the source, and a new bundle by what is installed; scripts are never written over."""
    scripts = [firewall.folder / name for name in ("opnsense.sh", "nightdrop.sh")]
    before = [script.stat().st_ino for script in scripts]
    settings = (firewall.folder / "opnsense.conf").read_text()
    bundle = firewall.root / "fw1.bundle.toml"
    with scripts[1].open() as running:
        firewall.run("install", bundle, script=SCRIPT)
        assert running.read() == (SNOWFLAKES / "nightdrop.sh").read_text()
    assert [script.stat().st_ino for script in scripts] != before
    firewall.run("install", bundle)
    assert (firewall.folder / "opnsense.conf").read_text() == settings
    assert sorted(path.name for path in firewall.folder.iterdir()) == [
        *("mirrors", "nightdrop.conf", "nightdrop.sh", "opnsense.conf", "opnsense.sh", "recipients"),
        "state",
    ]


def test_a_firewall_that_is_not_on_zfs(firewall: Firewall) -> None:
    """/conf alone, day by day and without a complaint; which was told when it was installed."""
    settings = firewall.folder / "opnsense.conf"
    settings.unlink()
    said = firewall.run("install", firewall.root / "fw1.bundle.toml", script=SCRIPT)
    assert f"/ is on no ZFS pool, so /conf is backed up alone; {settings} says so" in said
    assert "\npool=none\n" in settings.read_text()
    assert "error" not in firewall.run("run")
    assert [name.split(".")[0] for name in firewall.sets()] == ["conf-full"]
    assert f"error: {settings} says pool=none" in firewall.run("zfs", expect=2)
    # That there is none is not found out by a run: zfs may only not say. /conf is dropped all the same.
    settings.write_text("pool=\n")
    assert "/ is on no ZFS pool, or zfs does not say" in firewall.run("run", expect=2)
    assert [name.split(".")[0] for name in firewall.sets()] == ["conf-full"] * 2


def test_the_pool_that_the_firewall_is_on(tmp_path: Path, zfs: Zfs, firewall: Firewall) -> None:
    root = tmp_path / "tank"
    zfs.pool("tank", tmp_path, "-m", tmp_path / "none")
    zfs.run("zfs", "create", "-o", f"mountpoint={root}", "tank/root")
    settings = firewall.folder / "opnsense.conf"
    settings.unlink()
    firewall.environment = {"ROOT": str(root), "NIGHTDROP_FOLDER": str(firewall.folder)}
    firewall.run("install", firewall.root / "fw1.bundle.toml", script=firewall.folder / "opnsense.sh")
    assert "\npool=\n" in settings.read_text()
    firewall.run("zfs")
    assert [name.split(".")[0] for name in firewall.sets()] == ["tank-full"]


def test_installed_for_the_firewalls_own_cron(firewall: Firewall) -> None:
    """configd reads its actions by configparser; the cron page offers those with a description."""
    actions = configparser.ConfigParser()
    actions.read(firewall.root / "usr/local/opnsense/service/conf/actions.d/actions_nightdrop.conf")
    assert {name: actions[name]["command"].split()[1:] for name in actions.sections()} == {
        "run": ["run", "--delayed"],
        "full": ["run", "--full"],
        "conf": ["conf", "--delayed"],
    }
    for action in (actions[name] for name in actions.sections()):
        assert set(action) == {"command", "parameters", "type", "message", "description"}
        assert (action["type"], action["parameters"], bool(action["description"])) == ("script", "", True)
        assert os.access(f"{firewall.root}{action['command'].split()[0]}", os.X_OK)
    assert 'there is no pool "tank"' in firewall.run("zfs", expect=2)
