"""Streams: named on a command line, read ahead of who uses them, written behind who makes them.

Reading, working on what was read, and writing take turns in a simple program, and each waits for the
others. Here each has its thread, so that they go on at once; the work releases the interpreter's lock.
"""

import fcntl
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from io import BufferedWriter, RawIOBase
from pathlib import Path
from queue import Queue
from threading import Thread
from typing import BinaryIO, Final

from nightdrop.errors import NightdropError
from nightdrop.files import NamedFile, whole_file

Octets = bytes | bytearray | memoryview
Write = Callable[[Octets], object]

PIECE: Final = 1024 * 1024
"""Octets that are read at once."""

STABLE: Final = 2
"""So many more pieces have to be written behind before an earlier one may be changed."""

_BUFFERS: Final = 3


def pieces(file: RawIOBase, size: int = PIECE) -> Iterator[memoryview]:
    """What an unbuffered file holds, piece by piece as it comes, each of at most `size` octets.

    They are read ahead, into a few buffers that are used again: a piece is good until the next is asked
    for. Raises what reading raises.
    """
    free: Queue[memoryview | None] = Queue()
    read: Queue[tuple[memoryview, int] | BaseException] = Queue()

    def read_ahead() -> None:
        try:
            while (buffer := free.get()) is not None:
                octets = file.readinto(buffer)
                read.put((buffer, octets or 0))
                if not octets:
                    return
        except BaseException as error:  # noqa: BLE001
            read.put(error)

    for _ in range(_BUFFERS):
        free.put(memoryview(bytearray(size)))
    # A daemon: nobody waits for a read from a pipe that nothing comes through any more.
    Thread(target=read_ahead, daemon=True).start()
    try:
        while True:
            found = read.get()
            if isinstance(found, BaseException):
                raise found
            buffer, octets = found
            if not octets:
                return
            yield buffer[:octets]
            free.put(buffer)
    finally:
        free.put(None)


@contextmanager
def written_behind(write: Write) -> Iterator[Write]:
    """`write` in a thread of its own: a call returns before its piece is written.

    A piece must not be changed before STABLE more were handed over. What goes wrong is raised from a
    later call or at the end of the block, where all has been written.
    """
    queue: Queue[Octets | None] = Queue(maxsize=STABLE - 1)
    errors: list[BaseException] = []

    def write_on() -> None:
        while (piece := queue.get()) is not None:
            if not errors:
                try:
                    write(piece)
                except BaseException as error:  # noqa: BLE001
                    errors.append(error)

    def hand_over(piece: Octets) -> None:
        if errors:
            raise errors[0]
        queue.put(piece)

    thread = Thread(target=write_on, daemon=True)
    thread.start()
    try:
        yield hand_over
    except KeyboardInterrupt:
        # Nobody waits for a write to a pipe that nothing is taken from any more.
        raise
    except BaseException:
        _end(queue, thread)
        raise
    _end(queue, thread)
    if errors:
        raise errors[0]


def _end(queue: "Queue[Octets | None]", thread: Thread) -> None:
    queue.put(None)
    thread.join()


@contextmanager
def input_stream(name: str) -> Iterator[RawIOBase]:
    """The file of this name to read, unbuffered; `-` is standard input."""
    if name == "-":
        with NamedFile(0, "rb", "standard input", closefd=False) as file:
            with suppress(OSError):
                fcntl.fcntl(file, fcntl.F_SETPIPE_SZ, PIECE)
            yield file
        return
    with NamedFile(name, "rb", name) as file:
        yield file


@contextmanager
def output_stream(name: str, mode: int = 0o666) -> Iterator[BinaryIO]:
    """The file of this name to write, whole or not at all; `-` is standard output, as it comes.

    So is what is there and no regular file: a device or a pipe is written to, never replaced.
    """
    path = Path(name)
    if name != "-" and path.exists() and not path.is_file():
        with _as_it_comes(NamedFile(name, "wb", name)) as file:
            yield file
        return
    if name != "-":
        with whole_file(path, mode) as file:
            yield file
        return
    if sys.stdout.isatty():
        raise NightdropError(
            "an envelope or its content would go to the terminal", "send it to a file with -o"
        )
    with _as_it_comes(NamedFile(1, "wb", "standard output", closefd=False)) as file:
        yield file


@contextmanager
def _as_it_comes(file: NamedFile) -> Iterator[BinaryIO]:
    """A buffer before a file, which it closes. Who is interrupted does not wait until somebody takes what
    is left in it.
    """
    buffered = BufferedWriter(file)
    try:
        yield buffered
        buffered.flush()
    finally:
        file.close()
