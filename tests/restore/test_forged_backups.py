"""Restoring what a machine in an attacker's hands dropped: nothing outside DIR is touched, nothing that
could harm is made unasked, and what is honest in it comes back.
"""

import os
import stat
import tarfile
from pathlib import Path

import pytest

from restore import forging
from restore.forging import forge, member, tar

from house import HOST, Key, complaint, run


def restore(vault: Path, to: Path, key: Key, *words: object, expect: int) -> str:
    known = ["restore", "run", vault, "--host", HOST, "--to", to, *key.arguments]
    return run(*known, *words, expect=expect).stdout


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    folder = tmp_path / "outside"
    folder.mkdir()
    (folder / "precious").write_text("kept")
    return folder


def test_nothing_is_written_outside(tmp_path: Path, admin_key: Key, outside: Path) -> None:
    """Absolute names, and links that lead out and are then written through, or over."""
    vault = tmp_path / "vault"
    forge(
        vault,
        admin_key,
        [
            (member("snapshot/", tarfile.DIRTYPE, 0o755), b""),
            (member(f"snapshot//{str(outside).lstrip('/')}/absolute"), b"evil"),
            (member("snapshot/a link", tarfile.SYMTYPE, linkname=str(outside)), b""),
            (member("snapshot/a link/through"), b"evil"),
            (member("snapshot/a link/precious"), b"evil"),
            (member("snapshot/b link", tarfile.SYMTYPE, linkname=str(outside / "precious")), b""),
            (member("snapshot/b link"), b"evil"),
            (member("snapshot/honest"), b"honest"),
        ],
    )
    said = restore(vault, tmp_path / "to", admin_key, expect=3)
    assert {path.name: path.read_text() for path in outside.iterdir()} == {"precious": "kept"}
    assert (tmp_path / "to" / "honest").read_text() == "honest"
    assert "what should be its folder is none" in said
    assert "its path leads elsewhere" in said


def test_a_path_with_dots_is_refused(tmp_path: Path, admin_key: Key, outside: Path) -> None:
    forge(
        tmp_path / "vault",
        admin_key,
        [
            (member("snapshot/", tarfile.DIRTYPE, 0o755), b""),
            (member("snapshot/../outside/escaped"), b"evil"),
            (member("snapshot/honest"), b"honest"),
        ],
    )
    said = restore(tmp_path / "vault", tmp_path / "to", admin_key, expect=3)
    assert [path.name for path in outside.iterdir()] == ["precious"]
    assert (tmp_path / "to" / "honest").read_text() == "honest"
    assert "../outside/escaped" in said


DANGEROUS = [
    (member("snapshot/", tarfile.DIRTYPE, 0o755), b""),
    (member("snapshot/\x1b]0;owned\x07"), b"x"),
    (member("snapshot/disk", tarfile.BLKTYPE, 0o666, devmajor=7, devminor=250), b""),
    (member("snapshot/memory", tarfile.CHRTYPE, 0o666, devmajor=1, devminor=1), b""),
    (member("snapshot/root shell", mode=0o6755), b"#!/bin/sh\n"),
    (member("snapshot/shared", tarfile.DIRTYPE, 0o2775), b""),
]


def test_devices_and_setuid_only_when_asked_for(tmp_path: Path, admin_key: Key) -> None:
    vault = tmp_path / "vault"
    forge(vault, admin_key, DANGEROUS, signatures=tar(DANGEROUS))
    said = restore(vault, tmp_path / "to", admin_key, expect=3)
    assert "\x1b" not in said
    assert "\x07" not in said
    assert not (tmp_path / "to" / "disk").exists()
    assert not (tmp_path / "to" / "memory").exists()
    assert stat.S_IMODE((tmp_path / "to" / "root shell").stat().st_mode) == 0o755
    assert "it is a block device; --devices restores those:\n    disk\n" in said
    assert "without its setuid or setgid bit; --setuid restores those:\n    root shell\nnot " in said
    # On a folder that bit runs nothing: it only says whose new files are.
    assert stat.S_IMODE((tmp_path / "to" / "shared").stat().st_mode) == 0o2775
    listed = run("restore", "files", vault, "--host", HOST, *admin_key.arguments).stdout
    assert "\\x1b]0;owned\\x07\n" in listed
    assert "\x1b" not in listed
    restore(vault, tmp_path / "all", admin_key, "--devices", "--setuid", expect=0)
    assert stat.S_ISBLK((tmp_path / "all" / "disk").lstat().st_mode)
    assert (tmp_path / "all" / "memory").lstat().st_rdev == os.makedev(1, 1)
    assert stat.S_IMODE((tmp_path / "all" / "root shell").stat().st_mode) == 0o6755


def test_numbers_that_no_file_can_have_cost_their_files_only(tmp_path: Path, admin_key: Key) -> None:
    members = [
        (member("snapshot/folder/", tarfile.DIRTYPE, 0o755, gid=2**50), b""),
        (member("snapshot/folder/last"), b"x"),
        (member("snapshot/owner", uid=-5), b"x"),
        (member("snapshot/time", mtime=2**80), b"x"),
    ]
    forge(tmp_path / "vault", admin_key, members)
    said = restore(tmp_path / "vault", tmp_path / "to", admin_key, expect=3)
    assert (tmp_path / "to" / "folder" / "last").read_bytes() == b"x"
    assert "    owner\n    time\n" in said
    assert "a number beyond any" in said


def below_zero() -> bytes:
    """A member that leads back to itself."""
    octets = bytearray(tar([(member("signature/file"), b"")]))
    octets[124:136] = b"\xff" * 10 + b"\xfe\0"
    octets[148:156] = b" " * 8
    octets[148:156] = b"%06o\0 " % sum(octets[: tarfile.BLOCKSIZE])
    return bytes(octets)


@pytest.mark.parametrize(
    "signatures",
    [
        tar([(member("signature/file", tarfile.DIRTYPE), b"")]),
        tar([(member("signature/file", tarfile.SYMTYPE, linkname="file"), b"")]),
        tar([(member("signature/file", tarfile.LNKTYPE, linkname="nowhere"), b"")]),
        tar([(member("signature/file", tarfile.GNUTYPE_SPARSE), b"")]),
        below_zero(),
    ],
    ids=["a folder", "a link to itself", "a link to nothing", "sparse", "below zero"],
)
def test_a_drill_of_senseless_signatures_fails(tmp_path: Path, admin_key: Key, signatures: bytes) -> None:
    forge(tmp_path / "vault", admin_key, [(member("snapshot/file"), b"x")], signatures)
    words = ["restore", "drill", tmp_path / "vault", "--work", tmp_path, *admin_key.arguments]
    said = run(*words, expect=3)
    assert f"{HOST}: 0 of " in said.stdout


def test_a_vault_and_not_what_lies_in_it(tmp_path: Path, admin_key: Key) -> None:
    """Without a set that can be used, that is said in one line."""
    (tmp_path / "vault" / HOST).mkdir(parents=True)
    known = ["restore", "run", tmp_path / "vault", "--host", HOST, "--to", tmp_path / "to"]
    error, _ = complaint(run(*known, *admin_key.arguments, expect=1))
    assert "there is no backup that can be restored" in error


def test_a_set_from_the_future_is_said_to_be_one(
    tmp_path: Path, admin_key: Key, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would be taken for the newest for ever after."""
    end = "20991231T235959Z"
    monkeypatch.setattr(forging, "TIME", end)
    monkeypatch.setattr(forging, "STEM", f"duplicity-full.{end}")
    forge(tmp_path / "vault", admin_key, [(member("snapshot/", tarfile.DIRTYPE, 0o755), b"")])
    assert "from the future" in run("restore", "list", tmp_path / "vault").stdout
    said = restore(tmp_path / "vault", tmp_path / "to", admin_key, expect=0)
    assert f"warning: the set of {end} is from the future" in said


def test_a_folder_and_a_link_with_such_numbers(tmp_path: Path, admin_key: Key) -> None:
    """What is in the folder is there; of the link, nothing is left."""
    many = 2**50
    forge(
        tmp_path / "vault",
        admin_key,
        [
            (member("snapshot/", tarfile.DIRTYPE, 0o755), b""),
            (member("snapshot/d/", tarfile.DIRTYPE, 0o755, uid=many), b""),
            (member("snapshot/d/file"), b"good"),
            (member("snapshot/e", tarfile.SYMTYPE, linkname="x", uid=many), b""),
        ],
    )
    words = ["--host", HOST, "--to", tmp_path / "to", "--numeric-owner", *admin_key.arguments]
    done = run("restore", "run", tmp_path / "vault", *words, expect=3)
    assert (tmp_path / "to" / "d" / "file").read_bytes() == b"good"
    assert os.listdir(tmp_path / "to") == ["d"]
    for name in ("d", "e"):
        assert f"    {name}\n" in done.stdout
