"""The core of the shell client, in every shell: whole sets on both mirrors, and never a wrong receipt."""

import hashlib
import os
import signal
from pathlib import Path

import pytest

from snowflakes.clients import Client, end
from snowflakes.conftest import NewClient

from mirrors import wait_for, wait_until


@pytest.mark.parametrize("volume", ["1M", "stream"])
def test_both_mirrors_have_the_whole(client: Client, noise: Path, volume: str) -> None:
    client.set(volume=volume)
    # As if it were compressed already: openers must not undo that (FORMAT.md, "Compression").
    said = client.drop("mtd", "sh", "-c", f'printf "\\050\\265\\057\\375"; cat {noise}', ext="tar.zst")
    assert "on mirror-a, mirror-b" in said
    [receipt] = client.receipts()
    assert len(receipt.files) == (3 if volume == "1M" else 1)
    assert receipt.source.size == 2_500_004
    assert receipt.source.what == (client.kind("mtd"),)
    for mirror in client.home.mirrors:
        stored = mirror.stored(client.home.host)
        for file in receipt.files:
            assert len(stored[file.name]) == file.size
            assert hashlib.sha256(stored[file.name]).hexdigest() == file.sha256
    assert client.names(0) == client.names(1)
    assert client.opened() == b"\x28\xb5\x2f\xfd" + noise.read_bytes()


@pytest.mark.parametrize("volume", ["1M", "stream"])
def test_dead_producer_is_no_backup(client: Client, noise: Path, volume: str) -> None:
    client.set(volume=volume)
    said = client.drop("dead", "sh", "-c", f"head -c 500000 {noise}; exit 7", expect=1)
    assert "source ended with status 7" in said
    # Not even a file without a receipt: nothing was sent to its end before that was known.
    assert client.names() == []


@pytest.mark.parametrize("stage", ["source", "tee", "count", "cut", "openssl"])
def test_killed_stage_is_no_backup(client: Client, stage: str) -> None:
    killed(client, stage)


@pytest.mark.parametrize("stage", ["source", "cut", "openssl", "spread", "digest"])
def test_killed_stage_of_a_stream_is_no_backup(some_client: Client, stage: str) -> None:
    some_client.set(volume="stream")
    killed(some_client, stage)


@pytest.mark.parametrize("volume", ["1M", "stream"])
def test_killed_compression_is_no_backup(new_client: NewClient, volume: str) -> None:
    client = new_client()
    client.put_beside("zstd")
    client.set(volume=volume, compress="zstd")
    killed(client, "zstd")


def killed(client: Client, stage: str) -> None:
    """Kill it while every stage waits for a silent source: the run has to end all the same."""
    run = client.begin("killed", "sh", "-c", "echo one; exec sleep 1000")
    source, cut = client.stage("source"), client.stage("cut")
    wait_for(lambda: program(source) == "sleep" and program(cut) in ("dd", "cat"), "all of it waits")
    os.kill(client.stage(stage), signal.SIGKILL)
    status, said = end(run)
    assert status == 1, said
    assert "no backup was made" in said
    client.left_nothing()
    assert client.receipts() == []


def program(pid: int) -> str:
    """What a process has become; busybox's programs, too, which need no other executable."""
    return Path(f"/proc/{pid}/comm").read_text().strip()


def test_signal_cleans_up(client: Client, noise: Path) -> None:
    run = client.begin("signal", "sh", "-c", f"cat {noise}; exec sleep 1000")
    source = client.stage("source")
    client.stage("openssl")
    status, said = end(run, signal.SIGTERM)
    assert status == 143, said
    assert "interrupted" in said
    client.left_nothing()
    assert client.receipts() == []
    wait_until(lambda: "zombie" in state(source), "the producer does not outlive the run")


def state(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return "zombie"


def test_receipts_hang_together_and_one_mirror_is_enough(client: Client) -> None:
    client.drop("conf", "echo", "one")
    client.set(patience=1)
    wrong = client.settings.parent / "mirrors" / "mirror-b.curl"
    right = wrong.read_text()
    wrong.write_text(right.replace(":", ":x", 1))
    said = client.drop("conf", "echo", "two", expect=3)
    assert "the mirror mirror-b is lost for this run: it does not accept the password of router1" in said
    assert "mirror-b lacks it" in said
    wrong.write_text(right)
    client.drop("conf", "echo", "three")
    first, second, third = client.receipts()
    assert (first.previous, len(client.receipts(1))) == ("", 2)
    assert second.previous and third.previous and second.previous != third.previous
    assert client.opened() == b"three\n"
