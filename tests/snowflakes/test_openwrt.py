"""A router: installed by one command, kept by upgrades, its settings and its flash dropped daily.

Its file system is a folder (ROOT). `sysupgrade` is a script here: OpenWrt's own runs nowhere else.
"""

import io
import os
import subprocess
import tarfile
from pathlib import Path

import pytest

from nightdrop import __version__
from snowflakes.clients import ONLY, SHELLS, SNOWFLAKES, TESTED, Mirrors, findings

from house import Key, run
from mirrors import Mirror, environment_without_proxies

SCRIPT = SNOWFLAKES / "openwrt" / "openwrt.sh"
SYSUPGRADE = """#!/bin/sh
[ "$*" = "-k -b -" ] || exit 1
cd "$ROOT" && exec tar -czf - $(cat lib/upgrade/keep.d/* | sed 's,^/,,')
"""


class Router:
    """A router's file system, and its own host on both mirrors."""

    def __init__(self, root: Path, programs: Path, sizes: list[int]) -> None:
        self.root = root
        self.installed = root / "etc" / "nightdrop" / "openwrt.sh"
        for folder in ("proc", "dev", "etc/init.d"):
            (root / folder).mkdir(parents=True)
        self.flash = {}
        lines = ["dev:    size   erasesize  name"]
        for number, size in enumerate(sizes):
            name = ("u-boot", "u-boot-env", "fw data/1")[number % 3]
            lines.append(f'mtd{number}: {size:08x} 00001000 "{name}"')
            content = os.urandom(size)
            (root / "dev" / f"mtd{number}{'ro' if number else ''}").write_bytes(content)
            self.flash[f"{number:02}-{name.replace(' ', '_').replace('/', '_')}.img"] = content
        (root / "proc" / "mtd").write_text("\n".join(lines) + "\n")
        tools = root.parent / "tools"
        tools.mkdir()
        (tools / "sysupgrade").write_text(SYSUPGRADE)
        (tools / "sysupgrade").chmod(0o755)
        self.environment = environment_without_proxies() | {
            "ROOT": str(root),
            "PATH": f"{tools}:{programs}",
        }

    def run(
        self, *words: object, shell: str = ONLY or "ash", expect: int = 0
    ) -> subprocess.CompletedProcess[bytes]:
        done = subprocess.run(
            [*SHELLS[shell], *map(str, words)], capture_output=True, env=self.environment, check=False
        )
        assert done.returncode == expect, done.stderr.decode()
        return done


@pytest.fixture
def router(tmp_path: Path, busybox: Path) -> Router:
    return Router(tmp_path / "root", busybox, [0x40000, 0x1000, 0x123000])


def members(tar: bytes) -> dict[str, bytes]:
    with tarfile.open(fileobj=io.BytesIO(tar)) as archive:
        files = {each.name: archive.extractfile(each) for each in archive if each.isfile()}
        return {name: file.read() for name, file in files.items() if file is not None}


@pytest.mark.parametrize("shell", TESTED)
def test_flash_is_a_tar_in_every_shell(router: Router, shell: str) -> None:
    done = router.run(SCRIPT, "mtd", shell=shell)
    assert (
        members(done.stdout) == {"proc-mtd": (router.root / "proc" / "mtd").read_bytes()} | router.flash
    )


def test_partition_that_cannot_be_read_to_its_end(router: Router) -> None:
    (router.root / "dev" / "mtd2ro").write_bytes(b"short")
    done = router.run(SCRIPT, "mtd", expect=1)
    assert b"has not the size that /proc/mtd says" in done.stderr


def test_no_flash(router: Router) -> None:
    (router.root / "proc" / "mtd").unlink()
    assert b"there is no flash here" in router.run(SCRIPT, "mtd", expect=1).stderr


def test_from_the_bundle_to_the_daily_drop(
    router: Router, tmp_path: Path, home: Mirrors, admin_key: Key
) -> None:
    mirror = Mirror(tmp_path, "mirror-r", [admin_key.certificate])
    mirror.enroll("ap1", tmp_path / "bundle.toml", "--kind", "shell")
    crontab = router.root / "etc" / "crontabs" / "root"
    crontab.parent.mkdir()
    crontab.write_text("0 0 * * * something else\n")
    with mirror:
        router.run(SCRIPT, "install", tmp_path / "bundle.toml")
        # Not /tmp: another one of this name, tested beside this, would clear it up there.
        temporary = tmp_path / "temporary"
        temporary.mkdir()
        with (router.root / "etc" / "nightdrop" / "nightdrop.conf").open("a") as settings:
            settings.write(f"temporary={temporary}\n")
        router.run(router.installed, "install", tmp_path / "bundle.toml")
        kept = (router.root / "lib/upgrade/keep.d/nightdrop").read_text().split()
        other, ours = crontab.read_text().splitlines()
        assert other == "0 0 * * * something else"
        assert ours.endswith("* * * /etc/nightdrop/openwrt.sh daily >/dev/null")
        assert all((router.root / path[1:]).exists() for path in kept)
        assert crontab.relative_to(router.root).as_posix() in [path[1:] for path in kept]

        router.run(router.installed, "daily")
        names = sorted(mirror.stored("ap1"))
        assert [name.split(".", 1)[0] + name[name.index("Z") + 1 :] for name in names] == [
            *("mtd-full.receipt.json", "mtd-full.tar.p7m"),
            *("sysupgrade-full.receipt.json", "sysupgrade-full.tar.gz.p7m"),
        ]
        restored = tmp_path / "restored"
        open_it = ["restore", "open", *admin_key.arguments, mirror.vault, "--host", "ap1"]
        run(*open_it, "--kind", "mtd", "-o", restored)
        images = {path.name: path.read_bytes() for path in restored.rglob("*.img")}
        assert images == router.flash
        content = tmp_path / "content"
        run("open", *admin_key.arguments, "-o", content, mirror.vault / "ap1" / names[3])
        assert "etc/nightdrop/openwrt.sh" in members(content.read_bytes())
        assert findings(mirror) == []

        # What fails does not stop the other.
        (router.root / "proc" / "mtd").unlink()
        done = router.run(router.installed, "daily", expect=1)
        assert b"no backup was made (mtd-full." in done.stderr
        assert len([name for name in mirror.stored("ap1") if name.endswith(".receipt.json")]) == 3


def test_package_layout() -> None:
    """What the feed's Makefile installs is what is here; OpenWrt's SDK cannot run here."""
    makefile = (SNOWFLAKES / "openwrt" / "Makefile").read_text()
    for name in ("nightdrop.sh", "openwrt.sh"):
        assert f"./{name} " in makefile
    assert "DEPENDS:=+curl +openssl-util\n" in makefile
    assert f"PKG_VERSION:={__version__}\n" in makefile
    assert f"\nversion={__version__}\n" in (SNOWFLAKES / "nightdrop.sh").read_text()
