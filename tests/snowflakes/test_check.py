"""The check understands what a shell client drops: kinds, sizes, receipts."""

from pathlib import Path

from snowflakes.clients import ONLY, SHELLS, Client, Mirrors, findings, programs_of

from house import Key
from mirrors import Mirror


def test_a_shell_hosts_sets(tmp_path: Path, admin_key: Key, unlocked: Path, busybox: Path) -> None:
    with Mirror(tmp_path, "mirror-c", [admin_key.certificate]) as mirror:
        bundle = tmp_path / "bundle.toml"
        mirror.enroll("ap1", bundle, "--kind", "shell")
        [missing] = findings(mirror)
        assert missing.startswith("missing: nothing yet; it was enrolled ")
        client = Client(
            tmp_path / "client",
            Mirrors([mirror], admin_key, unlocked, bundle, "ap1"),
            SHELLS[ONLY or "ash"],
            programs_of(ONLY or "ash", busybox),
        )
        client.set(volume="5M")
        zeros = ["head", "-c", "12000000", "/dev/zero"]
        client.run("drop", "pool-full", "zfs", "--", *zeros)
        client.run("drop", "conf", "tar", "--what", "/conf", "--", "echo", "settings")
        # What an incremental's receipt says of its source is the increment, not a source that has shrunk.
        client.run("drop", "pool-inc", "zfs", "--", "echo", "little")
        client.run("drop", "pool-inc", "zfs", "--", "echo", "more")
        assert findings(mirror) == []

        # A set that was withdrawn shows, by the receipt after it.
        vault = mirror.vault / "ap1"
        gone = [(path, path.read_bytes()) for path in vault.glob("conf-full.*")]
        for path, _ in gone:
            path.unlink()
        assert any("gone" in finding or "withdrawn" in finding for finding in findings(mirror))
        for path, octets in gone:
            path.write_bytes(octets)
        # So does one with a volume that is damaged, missing or not what the receipt says.
        volume = next(vault.glob("pool-full.*.vol2.zfs.p7m"))
        octets = volume.read_bytes()
        volume.write_bytes(octets[:-1])
        assert any(finding.startswith(("corrupt", "truncated")) for finding in findings(mirror))
        volume.unlink()
        assert any(finding.startswith("incomplete") for finding in findings(mirror))
        volume.write_bytes(octets)

        # A full that is half of the one before is said.
        client.run("drop", "pool-full", "zfs", "--", "echo", "nothing")
        [shrunk] = findings(mirror)
        assert shrunk.startswith("shrunk: pool-full.")
