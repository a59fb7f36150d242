"""Files that are whole or not there at all."""

import os
import resource
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from nightdrop.errors import NightdropError
from nightdrop.files import LONGEST, read_short, whole_file


def test_it_appears_when_the_block_ends(tmp_path: Path) -> None:
    path = tmp_path / "file"
    with whole_file(path) as file:
        file.write(b"content")
        file.flush()
        assert not path.exists()
    assert path.read_bytes() == b"content"
    assert os.listdir(tmp_path) == ["file"]


class Unexpected(BaseException):
    """Whatever may happen: not even an Exception."""


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit, OSError, Unexpected])
def test_nothing_is_left_after_an_exception(tmp_path: Path, error: type[BaseException]) -> None:
    with pytest.raises(error), whole_file(tmp_path / "file") as file:
        file.write(b"half of the con")
        raise error
    assert os.listdir(tmp_path) == []


def test_what_was_there_stays_after_an_exception(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"before")
    with pytest.raises(ValueError, match="stop"), whole_file(path) as file:
        file.write(b"after")
        raise ValueError("stop")
    assert path.read_bytes() == b"before"
    assert os.listdir(tmp_path) == ["file"]


def test_what_was_there_is_replaced_in_the_end(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"before")
    with whole_file(path) as file:
        file.write(b"after")
    assert path.read_bytes() == b"after"


def test_what_was_there_is_kept_where_nothing_may_be_replaced(tmp_path: Path) -> None:
    """Also where it came while the block ran."""
    path = tmp_path / "file"
    with whole_file(path, replace=False) as file:
        file.write(b"first")
    with pytest.raises(FileExistsError), whole_file(path, replace=False) as file:
        file.write(b"second")
    assert path.read_bytes() == b"first"
    assert os.listdir(tmp_path) == ["file"]


def test_a_file_system_without_links_and_modes(tmp_path: Path) -> None:
    """A FAT stick, on which an administrator carries a bundle from one mirror to the other. Not every
    kernel has FAT, so strace has the system calls answer what they answer there.
    """
    code = (
        "import sys; from pathlib import Path; from nightdrop.files import whole_file\n"
        "with whole_file(Path(sys.argv[1]), 0o600, replace=False) as file: file.write(b'first')"
    )
    refused = "link,linkat,chmod,fchmod,fchmodat"
    command = ["strace", "-f", "-o", tmp_path / "trace", "-e", f"inject={refused}:error=EPERM"]
    command += [sys.executable, "-c", code, tmp_path / "file"]
    subprocess.run(command, check=True)
    again = subprocess.run(command, check=False, capture_output=True, text=True)
    assert "FileExistsError" in again.stderr
    assert "(INJECTED)" in (tmp_path / "trace").read_text()
    assert (tmp_path / "file").read_bytes() == b"first"
    assert sorted(os.listdir(tmp_path)) == ["file", "trace"]


@pytest.mark.parametrize(
    ("mode", "umask", "made"),
    [(0o666, 0o022, 0o644), (0o666, 0o077, 0o600), (0o600, 0o000, 0o600), (0o644, 0o027, 0o640)],
)
def test_the_mode_is_subject_to_the_umask(tmp_path: Path, mode: int, umask: int, made: int) -> None:
    before = os.umask(umask)
    try:
        with whole_file(tmp_path / "file", mode) as file:
            assert stat.S_IMODE(os.fstat(file.fileno()).st_mode) == 0o600
        assert os.umask(umask) == umask
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == made


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with (
        pytest.raises(NightdropError, match=f"there is no folder {tmp_path}/none"),
        whole_file(tmp_path / "none" / "file"),
    ):
        pass


def test_an_error_in_writing_names_the_file(tmp_path: Path) -> None:
    """The system's own names none."""
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        with (
            pytest.raises(OSError, match="File too large") as found,
            whole_file(tmp_path / "file") as file,
        ):
            resource.setrlimit(resource.RLIMIT_FSIZE, (10, limit[1]))
            file.write(bytes(100_000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
    assert found.value.filename == str(tmp_path / "file")


def test_a_short_file_is_read_and_a_long_one_is_not(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(bytes(LONGEST))
    assert read_short(tmp_path / "file") == bytes(LONGEST)
    (tmp_path / "file").write_bytes(bytes(LONGEST + 1))
    with pytest.raises(OSError, match="File too large"):
        read_short(tmp_path / "file")


def test_a_name_that_is_taken_by_a_folder(tmp_path: Path) -> None:
    (tmp_path / "file").mkdir()
    with pytest.raises(IsADirectoryError), whole_file(tmp_path / "file") as file:
        file.write(b"x")
    assert os.listdir(tmp_path) == ["file"]
