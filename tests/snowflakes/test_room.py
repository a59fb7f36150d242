"""Disks that are full, or small, or may not be written."""

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from snowflakes.clients import RUN, Client
from snowflakes.conftest import NewClient

from mirrors import wait_until


@pytest.fixture
def tmpfs(tmp_path: Path) -> Iterator[Callable[[Client, int], Path]]:
    """Put a client's temporary files on a tmpfs of so many megabytes."""
    folder = tmp_path / "tmpfs"

    def mount(client: Client, megabytes: int) -> Path:
        folder.mkdir()
        options = f"size={megabytes}m"
        subprocess.run(["mount", "-t", "tmpfs", "-o", options, "nightdrop", folder], check=True)
        client.temporary = folder / "temporary"
        client.temporary.mkdir()
        client.set(temporary=client.temporary, volume="256M")
        return folder

    yield mount
    # Processes that were killed may have files there for a moment.
    umount = ["umount", folder]
    wait_until(
        lambda: not folder.is_mount() or subprocess.run(umount, check=False).returncode == 0,
        "nobody is there any more",
    )


def test_full_tmpfs(some_client: Client, noise: Path, tmpfs: Callable[[Client, int], Path]) -> None:
    folder = tmpfs(some_client, 6)
    some_client.drop("mtd", "cat", noise)
    assert some_client.opened() == noise.read_bytes()
    fill = f"head -c 1000000 {noise}; cat /dev/zero >{folder}/full; cat {noise}"
    assert "no backup was made" in some_client.drop("full", "sh", "-c", fill, expect=1)
    assert len(some_client.receipts()) == 1


@pytest.mark.parametrize(("volume", "first"), [("1M", 2), ("stream", 20)])
def test_full_at_each_moment(new_client: NewClient, tmp_path: Path, volume: str, first: int) -> None:
    """There is room for so many files, one more in each run: it fails in one place after the other."""
    client = new_client("dash")
    folder = tmp_path / "tmpfs"
    folder.mkdir()
    client.set(temporary=folder, volume=volume)
    said = ""
    for inodes in range(first, 60):
        options = f"size=10m,nr_inodes={inodes}"
        subprocess.run(["mount", "-t", "tmpfs", "-o", options, "nightdrop", folder], check=True)
        try:
            done = subprocess.run(
                client.command("drop", client.kind("conf"), "bin", "--", "echo", "one"),
                capture_output=True,
                text=True,
                stdin=subprocess.DEVNULL,
                check=False,
                env=client.variables(),
                timeout=RUN,
            )
            said = done.stderr
            if done.returncode == 0:
                break
            assert (done.returncode, "nightdrop: error: " in said, "\nhint: " in said) == (
                1,
                True,
                True,
            ), said
            assert client.receipts() == []
            assert os.listdir(folder) == []
        finally:
            subprocess.run(["umount", folder], check=True)
    assert inodes > first, said
    assert client.opened() == b"one\n"


def test_little_room_makes_streams(
    new_client: NewClient, noise: Path, tmpfs: Callable[[Client, int], Path]
) -> None:
    client = new_client()
    tmpfs(client, 1)
    client.drop("mtd", "cat", noise)
    [receipt] = client.receipts()
    assert [file.name.split(".", 2)[2] for file in receipt.files] == ["bin.p7m"]
    assert client.opened() == noise.read_bytes()


def test_state_that_cannot_be_written(new_client: NewClient) -> None:
    client = new_client()
    client.drop("conf", "echo", "one")
    script = 'mount --bind "$0" "$0" && mount -o remount,bind,ro "$0" && exec "$@"'
    done = subprocess.run(
        [
            *("unshare", "-m", "sh", "-ec", script, client.state),
            *client.command("drop", client.kind("conf"), "bin", "--", "touch", client.folder / "ran"),
        ],
        capture_output=True,
        text=True,
        env=client.variables() | {"PATH": os.environ["PATH"]},
        check=False,
    )
    assert (done.returncode, "cannot be made" in done.stderr) == (1, True), done.stderr
    assert not (client.folder / "ran").exists()
    client.left_nothing()
