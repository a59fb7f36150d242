"""A supplement is applied to a restored tree: what it asks for is done, and nothing beyond it.

Tree and supplement both come from a host that may have been in an attacker's hands.
"""

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from io import BytesIO
from pathlib import Path

import pytest

from nightdrop.supplement import Supplement, read_supplement
from nightdrop_restore.writing import relinking
from nightdrop_restore.writing.relinking import apply_supplement, kept

OLD = 1_000_000_000 * 10**9
NOBODY = 65534
FILLED = 1 << 20


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """The folder that was restored into."""
    (tmp_path / "restored").mkdir()
    return tmp_path / "restored"


def applied(supplement: Supplement, root: Path, below: bytes = b"") -> list[bytes]:
    # Anybody may write there, as whom a test may act.
    with tempfile.TemporaryDirectory(dir="/tmp") as work:
        entries = read_supplement(BytesIO(supplement.to_bytes()))
        return list(apply_supplement(kept(entries, Path(work)), root, below))


def link(root: Path, *names: bytes, below: bytes = b"") -> list[bytes]:
    return applied(Supplement((names,), ()), root, below)


def punch(root: Path, *names: bytes) -> list[bytes]:
    return applied(Supplement((), names), root)


def are_one(*paths: Path) -> bool:
    return len({(path.stat().st_dev, path.stat().st_ino) for path in paths}) == 1


def snapshot(root: Path) -> dict[str, tuple[object, ...]]:
    """What stands where: enough to see that nothing was changed, made or removed."""
    found: dict[str, tuple[object, ...]] = {}
    for path in [root, *sorted(root.rglob("*"))]:
        status = path.lstat()
        facts = (status.st_ino, status.st_nlink, status.st_mode, status.st_size, status.st_mtime_ns)
        found[str(path.relative_to(root))] = facts
    return found


def test_names_of_one_file_become_one_file_again(root: Path) -> None:
    (root / "a folder").mkdir()
    names = [b"one", b"two", b"a folder/three\xff\n"]
    paths = [Path(os.fsdecode(os.path.join(os.fsencode(root), name))) for name in names]
    for path in paths:
        path.write_bytes(b"content")
        os.utime(path, ns=(OLD, OLD))
    (root / "alone").write_bytes(b"content")
    assert link(root, *names) == []
    assert are_one(*paths)
    assert not are_one(root / "one", root / "alone")
    assert paths[2].read_bytes() == b"content"
    assert paths[2].stat().st_mtime_ns == OLD


def test_a_folder_keeps_its_time_and_gets_no_other_entry(root: Path) -> None:
    folder = root / "folder"
    folder.mkdir()
    for path in (root / "one", folder / "two"):
        path.write_bytes(b"same")
    os.utime(folder, ns=(OLD, OLD + 1))
    assert link(root, b"one", b"folder/two") == []
    assert are_one(root / "one", folder / "two")
    assert folder.stat().st_mtime_ns == OLD + 1
    assert os.listdir(folder) == ["two"]


def test_names_that_are_one_file_already_stay_so(root: Path) -> None:
    """rename(2) does nothing where both names are one file, and would leave a third name behind."""
    (root / "one").write_bytes(b"same")
    os.link(root / "one", root / "two")
    before = snapshot(root)
    assert link(root, b"one", b"two", b"one", b"two") == []
    assert applied(Supplement(((b"one", b"two"), (b"two", b"one")), ()), root) == []
    assert snapshot(root) == before


def test_a_restored_file_may_have_any_name(root: Path) -> None:
    for name in ("one", "two", ".nightdrop-link"):
        (root / name).write_bytes(b"same")
    assert link(root, b"one", b"two") == []
    assert are_one(root / "one", root / "two")
    assert sorted(os.listdir(root)) == [".nightdrop-link", "one", "two"]


def test_only_what_was_restored_is_linked_when_that_is_a_part(root: Path) -> None:
    (root / "deep").mkdir()
    for name in ("one", "two", "deep/one"):
        (root / name).write_bytes(b"same")
    group = (b"etc/one", b"var/other", b"etc/two", b"etcetera/one", b"etc")
    assert link(root, *group, below=b"etc") == []
    assert are_one(root / "one", root / "two")
    assert not are_one(root / "one", root / "deep/one")


def test_a_single_file_gets_its_holes_back(root: Path) -> None:
    """Where that is all that was restored: it is what a path of the supplement was restored as."""
    file = root / "restored as this"
    file.write_bytes(bytes(FILLED))
    os.utime(file, ns=(OLD, OLD))
    supplement = Supplement(((b"etc/one", b"etc/two"),), (b"etc/image", b"etc/image/x", b"etc/imagery"))
    assert applied(supplement, file, b"etc/image") == []
    assert file.stat().st_blocks * 512 < FILLED
    assert (file.stat().st_size, file.stat().st_mtime_ns) == (FILLED, OLD)


def _other_content(path: Path) -> None:
    path.write_bytes(b"SAME")


def _longer(path: Path) -> None:
    path.write_bytes(b"same, and more")


def _other_mode(path: Path) -> None:
    path.chmod(0o600)


def _setuid(path: Path) -> None:
    path.chmod(0o4755)


def _other_owner(path: Path) -> None:
    os.chown(path, NOBODY, -1)


def _other_group(path: Path) -> None:
    os.chown(path, -1, NOBODY)


@pytest.mark.parametrize(
    "differ",
    [
        _other_content,
        _longer,
        _other_mode,
        _setuid,
        _other_owner,
        _other_group,
    ],
)
def test_files_that_differ_are_left_alone_and_told(root: Path, differ: Callable[[Path], None]) -> None:
    for name in ("one", "two", "three"):
        (root / name).write_bytes(b"same")
        (root / name).chmod(0o644)
    differ(root / "two")
    before = (root / "two").stat()
    content = (root / "two").read_bytes()
    assert link(root, b"one", b"two", b"three") == [b"two"]
    after = (root / "two").stat()
    assert (after.st_ino, after.st_mode, after.st_uid, after.st_gid, after.st_nlink) == (
        before.st_ino,
        before.st_mode,
        before.st_uid,
        before.st_gid,
        1,
    )
    assert (root / "two").read_bytes() == content
    assert are_one(root / "one", root / "three")


def test_no_name_is_compared_twice(root: Path) -> None:
    """Each time, the files are read, and a supplement could ask for that for years."""
    for name, content in (("one", b"same"), ("two", b"other")):
        (root / name).write_bytes(content.ljust(10))
    groups = ((b"one", *[b"two"] * 5), (b"one", b"two"), (b"two", b"one"))
    assert applied(Supplement(groups, ()), root) == [b"two"]


def test_names_that_are_not_there_do_not_matter(root: Path) -> None:
    for name in ("one", "two"):
        (root / name).write_bytes(b"same")
    group = (b"gone", b"one", b"no folder/either", b"two", b"one/below a file", b"x" * 300)
    assert link(root, *group) == []
    assert punch(root, *group) == []
    assert are_one(root / "one", root / "two")


def test_pipes_and_folders_among_the_names_do_not_matter(root: Path) -> None:
    """Opening a pipe would wait for its other end for good."""
    os.mkfifo(root / "pipe")
    (root / "folder").mkdir()
    for name in ("one", "two"):
        (root / name).write_bytes(b"same")
    names = (b"pipe", b"one", b"folder", b"two")
    assert link(root, *names) == []
    assert punch(root, *names) == []
    assert are_one(root / "one", root / "two")
    assert (root / "pipe").is_fifo()


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """A folder that is none of the restore's business."""
    folder = tmp_path / "outside"
    folder.mkdir()
    for name in ("one", "two"):
        write_to_disk(folder / name, bytes(FILLED))
        os.utime(folder / name, ns=(OLD, OLD))
    os.utime(folder, ns=(OLD, OLD))
    return folder


def write_to_disk(path: Path, octets: bytes) -> None:
    """Write a file whose blocks are counted: only on the disk it is certain how many it takes."""
    with path.open("wb") as file:
        file.write(octets)
        file.flush()
        os.fsync(file.fileno())


HOSTILE_TREES: dict[str, tuple[Callable[[Path, Path], object], tuple[bytes, ...]]] = {
    "a folder on the way is a link": (
        lambda root, outside: (root / "dir").symlink_to(outside),
        (b"inside", b"dir/one", b"dir/two"),
    ),
    "a folder on the way is a link, and comes first": (
        lambda root, outside: (root / "dir").symlink_to(outside),
        (b"dir/one", b"inside", b"dir/two"),
    ),
    "a folder deeper down is a link": (
        lambda root, outside: ((root / "a").mkdir(), (root / "a/b").symlink_to(outside)),
        (b"inside", b"a/b/one", b"a/b/two"),
    ),
    "a link that leads up": (
        lambda root, outside: (root / "up").symlink_to(".."),
        (b"inside", b"up/outside/one", b"up/outside/two"),
    ),
    "the last part is a link": (
        lambda root, outside: [(root / n).symlink_to(outside / n) for n in ("one", "two")],
        (b"one", b"inside", b"two"),
    ),
}


@pytest.mark.parametrize("case", HOSTILE_TREES)
def test_no_link_is_ever_gone_through(root: Path, outside: Path, case: str) -> None:
    make, names = HOSTILE_TREES[case]
    (root / "inside").write_bytes(bytes(FILLED))
    make(root, outside)
    before = snapshot(root), snapshot(outside)
    assert link(root, *names) == []
    assert (snapshot(root), snapshot(outside)) == before
    blocks = [(outside / name).stat().st_blocks for name in ("one", "two")]
    assert punch(root, *names) == []
    assert snapshot(outside) == before[1]
    assert [(outside / name).stat().st_blocks for name in ("one", "two")] == blocks
    assert blocks[0] > 0


def test_a_link_that_takes_the_place_of_a_file_is_not_gone_through(
    root: Path, outside: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After it was looked at: in somebody else's folder, that may happen at any moment."""
    monkeypatch.setattr(relinking, "_is_regular", lambda _root, _path: True)
    (root / "file").symlink_to(outside / "one")
    before, blocks = snapshot(outside), (outside / "one").stat().st_blocks
    assert punch(root, b"file") == [b"file"]
    assert (snapshot(outside), (outside / "one").stat().st_blocks) == (before, blocks)


HOLES = {
    "all zeros": [(0, b"")],
    "data first": [(0, b"x" * 5000)],
    "data last": [(FILLED - 3, b"end")],
    "data in the middle of a chunk": [(300_000, b"y" * 10)],
    "data across a chunk's end": [(FILLED - 10, b"z" * 20)],
    "an odd length": [(3 * FILLED + 1234, b"!")],
    "no zeros at all": [(0, b"\xff" * (FILLED + 17))],
}


@pytest.mark.parametrize("case", HOLES)
def test_holes_come_back_and_nothing_else_changes(root: Path, case: str) -> None:
    path = root / "file"
    content = bytearray(FILLED)
    for at, octets in HOLES[case]:
        content[at:] = bytes(max(0, at - len(content))) + octets + bytes(content[at + len(octets) :])
    write_to_disk(path, bytes(content))
    path.chmod(0o640)
    os.utime(path, ns=(OLD, OLD + 7))
    os.utime(root, ns=(OLD, OLD))
    full = path.stat().st_blocks
    assert punch(root, b"file", b"file") == []
    assert path.read_bytes() == content
    status = path.stat()
    assert (status.st_size, status.st_mtime_ns) == (len(content), OLD + 7)
    assert status.st_mode & 0o7777 == 0o640
    assert root.stat().st_mtime_ns == OLD
    occupied = {at // 4096 for at in range(len(content)) if content[at]}
    assert status.st_blocks * 512 <= (len(occupied) + 2) * 4096
    assert (status.st_blocks < full) == (case != "no zeros at all")


def test_one_file_with_holes_and_several_names(root: Path) -> None:
    for name in ("one", "two"):
        (root / name).write_bytes(bytes(FILLED) + b"end")
    assert applied(Supplement(((b"one", b"two"),), (b"one", b"two")), root) == []
    assert are_one(root / "one", root / "two")
    assert (root / "two").stat().st_blocks * 512 < FILLED
    assert (root / "two").read_bytes() == bytes(FILLED) + b"end"


@contextmanager
def _unprivileged() -> Iterator[Path]:
    """A folder of somebody who is not root, as whom we run meanwhile."""
    with tempfile.TemporaryDirectory(dir="/var/tmp") as name:
        user = os.geteuid()
        if user == 0:
            os.chown(name, NOBODY, NOBODY)
            os.seteuid(NOBODY)
        try:
            yield Path(name)
        finally:
            os.seteuid(user)


def test_what_may_not_be_read_is_left_and_told_and_the_rest_is_done() -> None:
    """Whoever restores without being root owns files that nobody may read, or write."""
    with _unprivileged() as root:
        for name in ("one", "two", "secret", "other secret", "read-only"):
            (root / name).write_bytes(bytes(FILLED))
        (root / "closed").mkdir()
        (root / "closed" / "three").write_bytes(bytes(FILLED))
        (root / "read-only").chmod(0o400)
        (root / "secret").chmod(0)
        (root / "other secret").chmod(0)
        (root / "closed").chmod(0o500)
        links = ((b"secret", b"other secret"), (b"one", b"closed/three", b"two"))
        sparse = (b"read-only", b"secret", b"one")
        left = applied(Supplement(links, sparse), root)
        assert left == [b"other secret", b"closed/three", b"read-only", b"secret"]
        assert are_one(root / "one", root / "two")
        assert (root / "one").stat().st_blocks == 0
        assert sorted(os.listdir(root / "closed")) == ["three"]
        (root / "closed").chmod(0o700)


def test_no_descriptor_is_left_open(root: Path) -> None:
    for name in ("one", "two", "other"):
        (root / name).write_bytes(bytes(FILLED))
    (root / "other").write_bytes(b"")
    (root / "link").symlink_to("one")
    names = (b"one", b"two", b"other", b"link", b"gone", b"one/x", b"link/y")
    applied(Supplement((names,), names), root)
    assert [path for path in open_files() if path.startswith(str(root))] == []


def open_files() -> list[str]:
    """What this process has open; other tests' threads may be closing theirs."""
    found = []
    for link in Path("/proc/self/fd").iterdir():
        with suppress(FileNotFoundError):
            found.append(os.readlink(link))
    return found
