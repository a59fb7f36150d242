"""Any Unix: folders as a tar, a disk as it is; and the check, which understands all of it."""

import shutil
import subprocess
import tarfile
from io import BytesIO
from pathlib import Path

import pytest

from snowflakes.clients import HAS_GCM, SNOWFLAKES, TESTED, Client
from snowflakes.conftest import NewClient

SCRIPT = SNOWFLAKES / "posix" / "posix.sh"
STRACE = shutil.which("strace") or "strace"


def call(client: Client, *words: object, expect: int = 0) -> str:
    done = subprocess.run(
        [*client.shell, str(SCRIPT), *map(str, words)],
        capture_output=True,
        text=True,
        env=client.variables() | {"NIGHTDROP_FOLDER": str(client.settings.parent)},
        check=False,
    )
    assert done.returncode == expect, done.stderr
    return done.stderr


@pytest.mark.parametrize("shell", TESTED)
def test_folders(new_client: NewClient, tmp_path: Path, shell: str) -> None:
    client = new_client(shell)
    folder = tmp_path / "-a \"folder\"; with 'signs' \u00fc"
    folder.mkdir()
    (folder / "one").write_text("1")
    call(client, "folders", client.kind("home"), folder, "/etc/hostname")
    with tarfile.open(fileobj=BytesIO(client.opened())) as archive:
        assert f"./{folder}/one".replace("//", "/") in archive.getnames()
        assert "./etc/hostname" in archive.getnames()
    [receipt] = client.receipts()
    assert receipt.source.what[0].endswith("-a \"folder\"; with 'signs' ?? /etc/hostname")


def test_folder_that_is_not_there(new_client: NewClient, tmp_path: Path) -> None:
    client = new_client()
    assert "is not there" in call(client, "folders", "home", tmp_path / "no", expect=2)
    assert "begins with /" in call(client, "folders", "home", "etc", expect=2)


def test_disk(new_client: NewClient, noise: Path) -> None:
    client = new_client("ash")
    call(client, "disk", client.kind("disk"), noise)
    assert client.opened() == noise.read_bytes()
    assert call(client, "disk", "disk", "/dev/nothing", expect=2).startswith(
        "nightdrop: error: /dev/nothing"
    )


def test_what_cannot_be_read_is_no_backup(new_client: NewClient, tmp_path: Path) -> None:
    """As on a dying disk: reading that file is an error."""
    client = new_client()
    (tmp_path / "file").write_text("content")
    done = subprocess.run(
        [
            *(STRACE, "-f", "-qq", "-o", "/dev/null", "-P", tmp_path / "file"),
            *("-e", "inject=read,sendfile:error=EIO", *client.shell, SCRIPT),
            *("folders", client.kind("home"), tmp_path),
        ],
        capture_output=True,
        text=True,
        env=client.variables() | {"NIGHTDROP_FOLDER": str(client.settings.parent)},
        check=False,
    )
    assert (done.returncode, "source ended with status" in done.stderr) == (1, True), done.stderr
    assert client.receipts() == []


@pytest.mark.parametrize("compress", ["auto", "zstd", "none"])
@pytest.mark.parametrize("cipher", ["auto", "aes-256-gcm", "aes-256-cbc"])
def test_compressed_and_sealed_as_said(new_client: NewClient, compress: str, cipher: str) -> None:
    client = new_client()
    client.put_beside("zstd")
    client.set(compress=compress, cipher=cipher)
    if cipher == "aes-256-gcm" and not HAS_GCM:
        assert "this openssl cannot seal with" in client.drop("zeros", "echo", expect=2)
        return
    client.drop("zeros", "head", "-c", "3000000", "/dev/zero")
    assert client.opened() == bytes(3_000_000)
    [receipt] = client.receipts()
    assert (sum(file.size for file in receipt.files) < 10_000) == (compress != "none")
    first = (client.vault(client.home.mirrors[0]) / receipt.files[0].name).read_bytes()[:20]
    assert (b"\x2a\x86\x48\x86\xf7\x0d\x01\x09\x10\x01\x17" in first) == (
        HAS_GCM and cipher != "aes-256-cbc"
    )


@pytest.mark.parametrize(
    "first", [b"\x50\x2a\x4d\x18", b"\x5f\x2a\x4d\x18", b"\x60\x2a\x4d\x18", b"\x50\x2a\x4d", b"\0"]
)
def test_streams_that_begin_as_zstd_does(new_client: NewClient, tmp_path: Path, first: bytes) -> None:
    client = new_client("ash")
    (tmp_path / "content").write_bytes(first)
    client.drop("odd", "cat", tmp_path / "content")
    assert client.opened() == first
