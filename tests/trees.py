"""Describing a tree of files completely, and saying where two trees differ.

Names are octets. Compared are type, content, mode, owner, group, modification time, link targets,
device numbers, and which names are one file.
"""

import hashlib
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Entry:
    """One entry. `content` is a digest, a link's target or a device's numbers; `same_as` the first name
    of the same file, where it has several.
    """

    type: str
    mode: int
    owner: int
    group: int
    mtime: int
    content: str
    same_as: bytes


def describe(root: Path) -> dict[bytes, Entry]:
    """Every entry below `root`, itself included, by its path relative to it. Sockets are left out."""
    first_names: dict[tuple[int, int], bytes] = {}
    entries = {}
    for path, status in _walk(os.fsencode(root)):
        name = os.path.relpath(path, os.fsencode(root))
        kind = stat.S_IFMT(status.st_mode)
        if kind == stat.S_IFSOCK:
            continue
        same_as = b""
        if kind == stat.S_IFREG and status.st_nlink > 1:
            same_as = first_names.setdefault((status.st_dev, status.st_ino), name)
        entries[name] = Entry(
            stat.filemode(status.st_mode)[0],
            stat.S_IMODE(status.st_mode),
            status.st_uid,
            status.st_gid,
            int(status.st_mtime),
            _content(path, status),
            same_as,
        )
    return entries


def differences(one: dict[bytes, Entry], other: dict[bytes, Entry]) -> dict[bytes, str]:
    """Where `other` is not as `one`: by name, in words; empty if they are equal."""
    found = {}
    for name in sorted(one.keys() | other.keys()):
        if name not in other:
            found[name] = "is missing"
        elif name not in one:
            found[name] = "should not be there"
        else:
            fields = [
                f for f in Entry.__dataclass_fields__ if getattr(one[name], f) != getattr(other[name], f)
            ]
            if fields:
                found[name] = ", ".join(
                    f"{f}: {getattr(one[name], f)!r} became {getattr(other[name], f)!r}" for f in fields
                )
    return found


def _walk(path: bytes) -> Iterator[tuple[bytes, os.stat_result]]:
    status = os.lstat(path)
    yield path, status
    if stat.S_ISDIR(status.st_mode):
        for name in sorted(os.listdir(path)):
            yield from _walk(os.path.join(path, name))


def _content(path: bytes, status: os.stat_result) -> str:
    kind = stat.S_IFMT(status.st_mode)
    if kind == stat.S_IFREG:
        with Path(os.fsdecode(path)).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    if kind == stat.S_IFLNK:
        return repr(os.readlink(path))
    if kind in (stat.S_IFCHR, stat.S_IFBLK):
        return str(status.st_rdev)
    return ""


def make_odd_tree(root: Path) -> None:
    """Fill `root` with everything a backup may stumble over."""
    root.mkdir()
    (root / "plain").write_text("plain\n")
    (root / "empty").touch()
    (root / "random").write_bytes(os.urandom(3_000_000))
    (root / "folder" / "deeper" / "deepest").mkdir(parents=True)
    (root / "folder" / "deeper" / "file").write_text("deep\n")
    (root / "empty folder").mkdir()
    (root / "no permissions").write_text("secret\n")
    (root / "no permissions").chmod(0)
    (root / "setuid").write_text("#!/bin/sh\n")
    (root / "sticky").mkdir(mode=0o1777)
    (root / "link").symlink_to("plain")
    (root / "dangling link").symlink_to("/nowhere/at/all")
    (root / "link to folder").symlink_to("folder")
    os.link(root / "random", root / "folder" / "hard link to random")
    os.link(root / "random", root / "zz hard link to random")
    os.mkfifo(root / "fifo")
    with (root / "sparse").open("wb") as file:
        file.write(b"start")
        file.seek(20_000_000)
        file.write(b"end")
    folder = os.fsencode(root)
    for name in (
        b"new\nline",
        b"not utf-8 \xff\xfe",
        b"x" * 255,
        b"\xc3\xbcml\xc3\xa4ut",
        b" leading and trailing ",
        b"[glob]*?",
        b"-rf",
        b"back\\slash 'quote' \"double\"",
        b"\x1b[31mred",
    ):
        Path(os.fsdecode(os.path.join(folder, name))).write_bytes(name)
    (root / "old").write_text("old\n")
    os.utime(root / "old", (0, 86400))
    if os.geteuid() == 0:
        os.chown(root / "plain", 12345, 54321)
        os.chown(root / "link", 12345, 54321, follow_symlinks=False)
        os.chown(root / "folder", 33, 33)
    (root / "setuid").chmod(0o6755)


def change_odd_tree(root: Path) -> None:
    """Add, change and delete a few things, as a day would."""
    (root / "added").write_text("new\n")
    (root / "plain").write_text("changed\n")
    with (root / "random").open("r+b") as file:
        file.seek(1_000_000)
        file.write(b"changed in the middle")
    (root / "empty").unlink()
    (root / "folder" / "deeper" / "file").rename(root / "folder" / "moved")
    (root / "empty folder").rmdir()
    (root / "link").unlink()
    (root / "link").symlink_to("added")
    (root / "old").chmod(0o600)
