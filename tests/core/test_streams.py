"""Streams: read ahead, written behind, and named on a command line."""

import io
import os
import random
import stat
import threading
import time
from pathlib import Path

import pytest

from nightdrop.streams import STABLE, output_stream, pieces, written_behind

from mirrors import wait_until


class Dribbling(io.RawIOBase):
    """Gives what it has in small portions, and then an error, if it has one."""

    def __init__(self, content: bytes, portion: int, error: Exception | None = None) -> None:
        self.rest, self.portion, self.error = content, portion, error

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        portion = self.rest[: min(self.portion, len(buffer))]
        self.rest = self.rest[len(portion) :]
        if not portion and self.error:
            raise self.error
        buffer[: len(portion)] = portion
        return len(portion)


@pytest.mark.parametrize("length", [0, 1, 9, 10, 11, 20, 95])
@pytest.mark.parametrize("portion", [1, 3, 10, 100])
def test_pieces_come_as_they_are_read(length: int, portion: int) -> None:
    content = random.Random(length).randbytes(length)
    found = [bytes(piece) for piece in pieces(Dribbling(content, portion), 10)]
    assert b"".join(found) == content
    assert all(len(piece) == min(portion, 10) for piece in found[:-1])
    assert all(found)


def test_what_goes_wrong_in_reading_is_raised_after_what_was_there() -> None:
    found = []
    with pytest.raises(OSError, match="bad sector"):
        for piece in pieces(Dribbling(b"x" * 25, 7, OSError("bad sector")), 10):
            found.append(bytes(piece))
    assert b"".join(found) == b"x" * 25


def test_it_reads_ahead_but_not_far() -> None:
    before = set(threading.enumerate())
    reading = Dribbling(b"x" * 1000, 10)
    ahead = pieces(reading, 10)
    next(ahead)
    wait_until(lambda: len(reading.rest) == 970, "it has read ahead")
    time.sleep(0.05)
    assert len(reading.rest) == 970
    ahead.close()  # type: ignore[attr-defined]
    wait_until(lambda: set(threading.enumerate()) <= before, "its thread has ended")


def test_all_is_written_in_order_when_the_block_ends() -> None:
    written: list[bytes] = []

    def slowly(piece: bytes | bytearray | memoryview) -> None:
        time.sleep(0.001)
        written.append(bytes(piece))

    with written_behind(slowly) as write:
        for number in range(50):
            write(b"%d" % number)
    assert written == [b"%d" % number for number in range(50)]


def test_a_piece_may_be_changed_when_so_many_more_were_handed_over() -> None:
    written: list[bytes] = []

    def slowly(piece: bytes | bytearray | memoryview) -> None:
        time.sleep(0.002)
        written.append(bytes(piece))

    buffers = [bytearray(1) for _ in range(STABLE + 1)]
    with written_behind(slowly) as write:
        for number in range(100):
            buffer = buffers[number % len(buffers)]
            buffer[0] = number
            write(buffer)
    assert written == [bytes((number,)) for number in range(100)]


def test_what_goes_wrong_in_writing_is_raised_and_nothing_more_is_written() -> None:
    tries: list[bytes] = []

    def failing(piece: bytes | bytearray | memoryview) -> None:
        tries.append(bytes(piece))
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"), written_behind(failing) as write:
        for _ in range(1000):
            write(b"piece")
    assert tries == [b"piece"]


def test_an_error_with_the_last_piece_is_raised_too() -> None:
    def failing(piece: bytes | bytearray | memoryview) -> None:
        time.sleep(0.01)
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"), written_behind(failing) as write:
        write(b"the only one")


def test_what_goes_wrong_in_the_block_is_what_is_raised() -> None:
    def failing(piece: bytes | bytearray | memoryview) -> None:
        raise OSError("disk full")

    with pytest.raises(ValueError, match="first"), written_behind(failing) as write:
        write(b"piece")
        raise ValueError("first")


def test_a_device_or_a_pipe_is_written_to_and_never_replaced(tmp_path: Path) -> None:
    """`-o /dev/null`, as root, would otherwise put a file where the device was."""
    null = tmp_path / "null"
    os.mknod(null, 0o666 | stat.S_IFCHR, os.makedev(1, 3))
    with output_stream(str(null)) as file:
        file.write(b"x" * 100_000)
    assert stat.S_ISCHR(null.lstat().st_mode)
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reading = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    with output_stream(str(pipe)) as file:
        file.write(b"through")
    assert os.read(reading, 100) == b"through"
    os.close(reading)
    assert stat.S_ISFIFO(pipe.lstat().st_mode)
    assert sorted(os.listdir(tmp_path)) == ["null", "pipe"]
