"""One line that shows how far a long job is: redrawn on a terminal, and silent anywhere else."""

import shutil
import sys
import time
from types import TracebackType

_INTERVAL = 0.1


class ProgressLine:
    """The line; used as a context, which leaves a clean terminal behind. `shown`: is there a terminal?"""

    def __init__(self) -> None:
        self.shown = sys.stderr.isatty()
        self._drawn = 0.0

    def __enter__(self) -> "ProgressLine":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.clear()

    def show(self, text: str) -> None:
        """Draw the line anew, at most a few times a second."""
        now = time.monotonic()
        if not self.shown or now - self._drawn < _INTERVAL:
            return
        self._drawn = now
        width = shutil.get_terminal_size().columns
        self._write(f"\r{text[: width - 1]}\x1b[K")

    def clear(self) -> None:
        """Take the line away, so that something else can be printed."""
        if self.shown and self._drawn:
            self._write("\r\x1b[K")
            self._drawn = 0.0

    def _write(self, text: str) -> None:
        try:
            sys.stderr.write(text)
            sys.stderr.flush()
        except OSError:
            # The terminal is gone, which is no reason to fail.
            self.shown = False
