"""A firewall whose pool makes a full of more than 4 GiB, in one piece."""

import subprocess
from pathlib import Path

from snowflakes.firewalls import Firewall, Zfs, firewall, receive, zfs

from house import Key

__all__ = ["firewall", "zfs"]

LARGE = 4_600_000_000


def test_more_than_4_gib(tmp_path: Path, zfs: Zfs, firewall: Firewall, admin_key: Key) -> None:
    zfs.pool("tank", tmp_path, "-m", tmp_path / "tank", size=6_000_000_000)
    large = zfs.root / str(tmp_path / "tank" / "large")[1:]
    noise = "openssl enc -aes-128-ctr -nosalt -k x -pbkdf2 -in /dev/zero 2>/dev/null | head -c $1 >$2"
    subprocess.run(["sh", "-c", noise, "sh", str(LARGE), large], check=True)
    firewall.set(volume="stream", rate="")
    firewall.run("zfs")
    [stem] = firewall.sets()
    [volume] = (firewall.mirror.vault / "fw1").glob(f"{stem}.*p7m")
    assert volume.stat().st_size > 2**32

    zfs.pool("back", tmp_path, "-R", tmp_path / "back", "-m", tmp_path / "tank", size=6_000_000_000)
    receive(zfs, firewall, admin_key, stem, tmp_path)
    zfs.run("zfs", "mount", "-a")
    back = zfs.root / str(tmp_path / "back")[1:] / str(tmp_path / "tank" / "large")[1:]
    subprocess.run(["cmp", large, back], check=True)
