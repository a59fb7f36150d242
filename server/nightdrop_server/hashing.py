"""The SHA-256 of a stream, worked out beside the thread that receives and writes it.

A processor without instructions for it hashes more slowly than it does all the rest, so one upload
alone gains much by this. Where all processors are busy anyway the caller hashes by itself.
"""

import hashlib
import os
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final

_WORTH: Final = 64 * 1024
"""Blocks shorter than this, in octets, are hashed sooner than they are handed over."""

_PROCESSORS: Final = os.cpu_count() or 1
_helpers = ThreadPoolExecutor(_PROCESSORS, thread_name_prefix="hash")
_free = threading.BoundedSemaphore(_PROCESSORS)


class Hasher:
    """One stream's SHA-256."""

    def __init__(self) -> None:
        self._digest = hashlib.sha256()
        self._pending: Future[None] | None = None

    def update(self, block: memoryview, beside: bool) -> None:
        """Take a block, and hash it here, or `beside` the caller: then it has to stay as it is until the
        next call of any method.
        """
        self.settle()
        if beside and len(block) >= _WORTH and _free.acquire(blocking=False):
            self._pending = _helpers.submit(self._beside, block)
        else:
            self._digest.update(block)

    def settle(self) -> None:
        """Wait until the blocks taken so far are needed no more."""
        pending, self._pending = self._pending, None
        if pending is not None:
            pending.result()

    def hexdigest(self) -> str:
        """The SHA-256 of all blocks, in hex."""
        self.settle()
        return self._digest.hexdigest()

    def _beside(self, block: memoryview) -> None:
        try:
            self._digest.update(block)
        finally:
            _free.release()
