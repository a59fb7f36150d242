"""Writing what duplicity's process reads, while it reads on."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Thread
from typing import Final

from nightdrop_restore.engine.conveying import CutOffError, received
from nightdrop_restore.writing.writer import Writer

_BUFFER: Final = 1024 * 1024


@dataclass
class Receiving:
    """`descriptor` takes what a sender sends; `whole` tells at the end whether it was all there."""

    descriptor: int
    whole: bool = False


@contextmanager
def written_beside(make_writer: Callable[[], Writer], stop: Callable[[], None]) -> Iterator[Receiving]:
    """Have a thread write what is sent, with a writer that is made when something comes; `stop` has it
    wait for nobody if the block is left by an exception.

    At the end of the block all that was sent is written. Raises what writing raised; whoever sends is
    told of that by a pipe that nobody reads from.
    """
    reading, sending = os.pipe()
    receiving = Receiving(sending)
    errors: list[BaseException] = []

    def write_on() -> None:
        writer = None
        with os.fdopen(reading, "rb", buffering=_BUFFER) as source:
            try:
                for item in received(source):
                    writer = writer or make_writer()
                    writer.write(item)
                receiving.whole = True
            except CutOffError:
                pass
            except BaseException as error:  # noqa: BLE001
                errors.append(error)
        if writer is not None:
            writer.close()

    thread = Thread(target=write_on, daemon=True)
    thread.start()
    try:
        try:
            yield receiving
        finally:
            os.close(sending)
        thread.join()
    except BaseException:
        stop()
        thread.join()
        raise
    if errors:
        raise errors[0]
