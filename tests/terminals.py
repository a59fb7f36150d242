"""A terminal for tests: a program on a real one (pty(7)), what it shows, and keys that are pressed."""

import os
import pty
import select
import signal
import termios
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from mirrors import PATIENCE, wait_until

_LFLAGS = 3


class Terminal:
    """A program in a session of its own on a terminal of its own. `said` is what was shown so far."""

    def __init__(self, words: Sequence[object]) -> None:
        self.said = ""
        self._pid, self._screen = pty.fork()
        if self._pid == 0:
            # Whoever runs tests in the background, or by nohup, makes them deaf to these.
            for each in (signal.SIGINT, signal.SIGHUP):
                signal.signal(each, signal.SIG_DFL)
            os.execvp(str(words[0]), [str(word) for word in words])

    def __enter__(self) -> "Terminal":
        return self

    def __exit__(self, *_error: object) -> None:
        with suppress(OSError):
            os.killpg(self._pid, signal.SIGKILL)
        with suppress(OSError):
            os.waitpid(self._pid, 0)
        self.close()

    def close(self) -> None:
        """Close the terminal's window."""
        if self._screen >= 0:
            os.close(self._screen)
            self._screen = -1

    def expect(self, text: str) -> None:
        """Wait until the terminal shows this."""
        end = time.monotonic() + PATIENCE
        while text not in self.said:
            assert time.monotonic() < end, f"{text!r} was not shown: {self.said!r}"
            self._look()

    def hides(self) -> bool:
        """Whether the terminal does not show what is typed."""
        flags: int = termios.tcgetattr(self._screen)[_LFLAGS]
        return not flags & termios.ECHO

    def type(self, keys: str) -> None:
        """Press these keys."""
        os.write(self._screen, keys.encode())

    def interrupt(self) -> None:
        """Ctrl-C."""
        self.type("\x03")

    def signal(self, number: int) -> None:
        """Send the program a signal."""
        os.kill(self._pid, number)

    def end(self) -> int:
        """Wait until the program has ended; its exit status. All it showed is in `said` then."""
        found: list[int] = []

        def ended() -> bool:
            if self._screen >= 0:
                self._look(0)
            if not found:
                pid, status = os.waitpid(self._pid, os.WNOHANG)
                found.extend([status] if pid else [])
            return bool(found)

        wait_until(ended, "the program has ended")
        while self._screen >= 0 and self._look(0):
            pass
        return os.waitstatus_to_exitcode(found[0])

    def alone(self) -> bool:
        """Whether nothing else of what runs was started there."""
        return not [
            folder
            for folder in Path("/proc").glob("[0-9]*")
            if folder.name != str(self._pid) and _session(folder) == self._pid
        ]

    def _look(self, patience: float = 0.2) -> bool:
        """Take what is shown; whether there was anything."""
        if not select.select([self._screen], [], [], patience)[0]:
            return False
        try:
            piece = os.read(self._screen, 65536)
        except OSError:
            # Linux says so when nobody is there who could write to it.
            return False
        self.said += piece.decode(errors="replace")
        return bool(piece)


def _session(folder: Path) -> int:
    with suppress(OSError):
        state, _parent, _group, session = (folder / "stat").read_text().rpartition(")")[2].split()[:4]
        return 0 if state in "ZX" else int(session)
    return 0
