"""Sets of routers and firewalls: unpacked, joined, in order; as scripts with openssl made them, too."""

import io
import os
import subprocess
import tarfile
from pathlib import Path

import pytest

from restore.forging import member, seal, tar, write_receipt

from house import Key, complaint, run

HOST = "router1"
FULL = "20260102T030405Z"
LATER = ("20260103T030405Z", "20260104T030405Z")

PROC_MTD = b"""dev:    size   erasesize  name
mtd0: 00001000 00001000 "u-boot"
mtd1: 00002000 00001000 "fire\x1b[31mware"
mtd2: 00003000 00001000 "art"
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    found = tmp_path / "vault" / HOST
    found.mkdir(parents=True)
    return found


def smime(path: Path, key: Key, content: bytes) -> None:
    """As the scripts do that people have: `… | openssl smime -encrypt | curl`."""
    command = ["openssl", "smime", "-encrypt", "-binary", "-aes256", "-outform", "DER", "-stream"]
    path.write_bytes(
        subprocess.run(
            [*command, key.certificate], input=content, check=True, stdout=subprocess.PIPE
        ).stdout
    )


def test_a_configuration_is_unpacked(folder: Path, admin_key: Key, tmp_path: Path) -> None:
    """By a script, with a receipt of nobody; compressed by gzip; folders after what is in them."""
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w:gz") as archive:
        for info, content in [
            (member("./etc/config/network", mode=0o600), b"config"),
            (member("./etc/config/again", tarfile.LNKTYPE, linkname="./etc/config/network"), b""),
            (member("./etc/config", tarfile.DIRTYPE, 0o500), b""),
            (member("./etc/link", tarfile.SYMTYPE, linkname="/etc/passwd"), b""),
        ]:
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    name = f"sysupgrade-full.{FULL}.tar.gz.p7m"
    smime(folder / name, admin_key, plain.getvalue())
    out = tmp_path / "out"
    run("restore", "open", folder / name, *admin_key.arguments, "-o", out)
    back = out / f"sysupgrade-full.{FULL}"
    assert (back / "etc/config/network").read_bytes() == b"config"
    assert (back / "etc/config/network").samefile(back / "etc/config/again")
    assert (back / "etc/config").stat().st_mode & 0o7777 == 0o500
    assert int((back / "etc/config").stat().st_mtime) == 1_700_000_000
    assert os.readlink(back / "etc/link") == "/etc/passwd"
    run("restore", "open", folder / name, *admin_key.arguments, "-o", tmp_path / "raw", "--raw")
    assert (tmp_path / "raw" / name.removesuffix(".p7m")).read_bytes() == plain.getvalue()
    error, _ = complaint(run("restore", "open", folder / name, *admin_key.arguments, "-o", out, expect=2))
    assert "is there already" in error


def test_a_hostile_tar_harms_nobody(folder: Path, admin_key: Key, tmp_path: Path) -> None:
    outside, precious = tmp_path / "outside", tmp_path / "out" / "precious"
    outside.mkdir()
    precious.parent.mkdir()
    precious.touch()
    name = folder / f"conf-full.{FULL}.tar.p7m"
    seal(
        name,
        admin_key,
        tar(
            [
                (member("../outside/escaped"), b"evil"),
                (member("link", tarfile.SYMTYPE, linkname=str(outside)), b""),
                (member("link/through"), b"evil"),
                (member("hard", tarfile.LNKTYPE, linkname="link/../../../../etc/passwd"), b""),
                (member("beside", tarfile.LNKTYPE, linkname="../precious"), b""),
                (member("disk", tarfile.BLKTYPE, devmajor=7, devminor=250), b""),
                (member("shell", mode=0o4755), b"x"),
                (member("/absolute"), b"inside"),
            ]
        ),
    )
    done = run("restore", "open", name, *admin_key.arguments, "-o", tmp_path / "out", expect=3)
    back = tmp_path / "out" / f"conf-full.{FULL}"
    assert list(outside.iterdir()) == []
    assert sorted(os.listdir(back)) == ["absolute", "link", "shell"]
    assert (back / "shell").stat().st_mode & 0o7777 == 0o755
    assert precious.stat().st_nlink == 1
    for path in ("../outside/escaped", "link/through", "hard", "beside", "disk"):
        assert f"    {path}: " in done.stdout


def test_numbers_that_no_file_can_have_cost_their_files_only(
    folder: Path, admin_key: Key, tmp_path: Path
) -> None:
    seal(
        folder / f"conf-full.{FULL}.tar.p7m",
        admin_key,
        tar(
            [
                (member("time", mtime=2**80), b"x"),
                (member("owner", uid=2**50), b"x"),
                (member("folder", tarfile.DIRTYPE, gid=-5), b""),
                (member("folder/in it"), b"x"),
                (member("link", tarfile.SYMTYPE, linkname="x", uid=2**50), b""),
                (member("last"), b"x"),
            ]
        ),
    )
    words = (folder / f"conf-full.{FULL}.tar.p7m", *admin_key.arguments, "-o", tmp_path / "out")
    said = run("restore", "open", *words, expect=3).stdout
    back = tmp_path / "out" / f"conf-full.{FULL}"
    assert sorted(p.relative_to(back).as_posix() for p in back.rglob("*")) == [
        "folder",
        "folder/in it",
        "last",
    ]
    for name in ("time", "owner", "link", "folder"):
        assert f"    {name}: its owner, device or time is a number beyond" in said


def test_flash_with_the_names_of_its_partitions(folder: Path, admin_key: Key, tmp_path: Path) -> None:
    images = [bytes([number]) * size for number, size in enumerate((0x1000, 0x2000, 0x2FFF))]
    names = ("00-u-boot.img", "01-firmware.img", "02-art.img")
    members = [(member("proc-mtd"), PROC_MTD)]
    members += [(member(name), image) for name, image in zip(names, images, strict=True)]
    name = folder / f"mtd-full.{FULL}.tar.p7m"
    seal(name, admin_key, tar(members))
    done = run("restore", "open", name, *admin_key.arguments, "-o", tmp_path / "out", expect=3)
    back = tmp_path / "out" / f"mtd-full.{FULL}"
    assert [(back / name).read_bytes() for name in names] == images
    lines = done.stdout.splitlines()
    assert lines[1].split() == ["mtd0", "u-boot", "4.1", "KB", "00-u-boot.img"]
    assert "fire\\x1b[31mware" in lines[2]
    assert lines[3].endswith("02-art.img  its image has 12,287 octets, not 12,288")


def test_a_plain_image_of_a_script(folder: Path, admin_key: Key, tmp_path: Path) -> None:
    image = os.urandom(300_000)
    smime(folder / f"mtd-full.{FULL}.img.p7m", admin_key, image)
    words = [folder.parent, "--host", HOST, "--kind", "mtd", *admin_key.arguments, "-o", tmp_path / "out"]
    run("restore", "open", *words)
    assert (tmp_path / "out" / f"mtd-full.{FULL}.img").read_bytes() == image


@pytest.fixture
def pool(folder: Path, admin_key: Key) -> list[bytes]:
    """A full in volumes and two incrementals, with receipts: what is in them."""
    contents = [os.urandom(250_000), os.urandom(1000), os.urandom(2000)]
    for number in range(3):
        piece = contents[0][number * 100_000 : (number + 1) * 100_000]
        seal(folder / f"zroot-full.{FULL}.vol{number + 1}.zfs.p7m", admin_key, piece)
    write_receipt(folder, "zroot", "full", f"zroot-full.{FULL}")
    for content, moment in zip(contents[1:], LATER, strict=True):
        smime(folder / f"zroot-inc.{moment}.zfs.p7m", admin_key, content)
        write_receipt(folder, "zroot", "inc", f"zroot-inc.{moment}")
    return contents


def opened(folder: Path, key: Key, to: Path, *words: object) -> dict[str, bytes]:
    known = ["--host", HOST, "--kind", "zroot", *key.arguments, "-o", to]
    run("restore", "open", folder.parent, *words, *known)
    return {path.name: path.read_bytes() for path in sorted(to.iterdir())}


def test_a_pool_in_order(folder: Path, pool: list[bytes], admin_key: Key, tmp_path: Path) -> None:
    found = opened(folder, admin_key, tmp_path / "out")
    assert list(found.values()) == pool
    assert next(iter(found)) == f"zroot-full.{FULL}.zfs"
    then = opened(folder, admin_key, tmp_path / "then", "--time", "2026-01-03")
    assert list(then.values()) == pool[:2]
    one = folder / f"zroot-full.{FULL}.vol2.zfs.p7m"
    run("restore", "open", one, *admin_key.arguments, "-o", tmp_path / "one")
    assert (tmp_path / "one" / f"zroot-full.{FULL}.zfs").read_bytes() == pool[0]
    said = tmp_path / "said"
    with said.open("wb") as out:
        words = [folder.parent, "--host", HOST, "--kind", "zroot", *admin_key.arguments, "-o", "-"]
        subprocess.run(["nightdrop", "restore", "open", *words], stdout=out, check=True, env=_path())
    assert said.read_bytes() == b"".join(pool)


def test_a_newer_set_that_cannot_be_opened_is_told(
    folder: Path, pool: list[bytes], admin_key: Key, tmp_path: Path
) -> None:
    """What comes instead is older than what was asked for: nobody is to take it for the newest."""
    newer = "zroot-full.20260301T030405Z"
    for number in (1, 2):
        seal(folder / f"{newer}.vol{number}.zfs.p7m", admin_key, b"newer")
    write_receipt(folder, "zroot", "full", newer)
    (folder / f"{newer}.vol2.zfs.p7m").unlink()
    words = ["restore", "open", folder.parent, "--host", HOST, "--kind", "zroot", *admin_key.arguments]
    done = run(*words, "-o", tmp_path / "out", expect=3)
    told = f"warning: the set of 20260301T030405Z cannot be opened: it lacks {newer}.vol2.zfs.p7m\n"
    assert told == done.stderr
    assert [path.read_bytes() for path in sorted((tmp_path / "out").iterdir())] == pool
    run(*words, "-o", tmp_path / "then", "--time", "2026-02-01")
    error, _ = complaint(run(*words, "-o", tmp_path / "never", "--time", "2020-01-01", expect=1))
    assert error.endswith("has no full of this kind that is whole from 20200101T235959Z or before")
    (folder / f"{newer}.receipt.json").unlink()
    done = run(*words, "-o", tmp_path / "unfinished", "--time", "2026-03-02")
    assert done.stderr == "note: the set of 20260301T030405Z was not finished\n"


def test_a_volume_that_is_not_what_its_receipt_says(
    folder: Path, pool: list[bytes], admin_key: Key, tmp_path: Path
) -> None:
    """Nothing is written; with another vault that has it whole, it is taken from there."""
    other = tmp_path / "other"
    subprocess.run(["cp", "-a", folder.parent, other], check=True)
    seal(folder / f"zroot-full.{FULL}.vol2.zfs.p7m", admin_key, b"another that opens")
    one = folder / f"zroot-full.{FULL}.vol1.zfs.p7m"
    error, hint = complaint(
        run("restore", "open", one, *admin_key.arguments, "-o", tmp_path / "out", expect=1)
    )
    assert "vol2.zfs.p7m: " in error
    assert "not what its receipt says" in error
    assert "another vault" in hint
    assert list((tmp_path / "out").iterdir()) == []
    found = opened(folder, admin_key, tmp_path / "both", other)
    assert list(found.values()) == pool


def test_what_is_altered_leaves_nothing(folder: Path, admin_key: Key, tmp_path: Path) -> None:
    name = folder / f"conf-full.{FULL}.tar.p7m"
    seal(name, admin_key, tar([(member(f"file {n}"), os.urandom(100_000)) for n in range(20)]))
    octets = bytearray(name.read_bytes())
    octets[-100] ^= 1
    name.write_bytes(octets)
    words = ["restore", "open", name, *admin_key.arguments, "-o", tmp_path / "out"]
    assert "altered" in run(*words, expect=1).stderr
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (["--kind", "mtd"], "--host and --kind go together"),
        (["--host", HOST, "--kind", "mtd"], "has no sets of the kind mtd"),
        (["--host", "nobody", "--kind", "mtd"], "the vault has no host nobody"),
        ([], "this is not the name of a stream in a vault"),
    ],
)
def test_mistakes(folder: Path, admin_key: Key, tmp_path: Path, words: list[str], error: str) -> None:
    known = ["restore", "open", folder.parent, *words, *admin_key.arguments, "-o", tmp_path / "out"]
    assert error in complaint(run(*known, expect=2))[0]


def _path() -> dict[str, str]:
    import sys

    return os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
