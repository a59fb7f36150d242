"""Starting the duplicity process, listening to it, and reading its exit status."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from nightdrop.engine.events import Event, parse_event
from nightdrop.errors import NightdropError
from nightdrop.interrupts import held_back
from nightdrop.text import harmless


@dataclass
class Engine:
    """One run of duplicity. `log` is the file that takes what it prints; `errors` and `warnings` are
    what it said, `status` how it ended.
    """

    log: Path
    status: int = -1
    errors: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    _process: subprocess.Popen[bytes] = field(init=False, repr=False)
    _lines: IO[str] = field(init=False, repr=False)

    def run(
        self,
        launcher: str,
        words: Sequence[str],
        on_event: Callable[[Event], object],
        keep_open: Sequence[int] = (),
    ) -> None:
        """Run the module `launcher` with these words and the number of the descriptor for events.

        `keep_open` are descriptors that it inherits. Returns when it has ended, however it ended.
        """
        with self.started(launcher, words, keep_open):
            self.proceed(b"", on_event)

    @contextmanager
    def started(
        self, launcher: str, words: Sequence[str] = (), keep_open: Sequence[int] = ()
    ) -> Iterator[None]:
        """Start it as `run` does, for the time of the block: it can get ready meanwhile for what
        `proceed` will tell it. Afterwards it has ended.
        """
        reading, writing = os.pipe()
        command = [sys.executable, "-I", "-m", launcher, *words, str(writing)]
        process = None
        with self.log.open("wb") as log:
            try:
                with held_back():
                    process = self._process = subprocess.Popen(
                        command,
                        stdin=subprocess.PIPE,
                        stdout=log,
                        stderr=log,
                        env=_environment(),
                        pass_fds=(writing, *keep_open),
                    )
                os.close(writing)
                with os.fdopen(reading, encoding="utf-8") as self._lines:
                    yield
            finally:
                if process is not None:
                    with suppress(ProcessLookupError):
                        process.terminate()
                    process.communicate()

    def proceed(self, told: bytes, on_event: Callable[[Event], object]) -> None:
        """Let it read `told` from its standard input, and listen. Returns when it has ended."""
        assert self._process.stdin is not None
        # If it has ended before, its log and status say why.
        with suppress(BrokenPipeError), self._process.stdin as pipe:
            pipe.write(told)
        for line in self._lines:
            event = parse_event(line)
            self._note(event)
            on_event(event)
        self.status = self._process.wait()

    def failure(self, what: str) -> NightdropError:
        """The error to raise when it did not do `what` it was for, with the last that it said."""
        said = f"duplicity ended with status {self.status}"
        if self.errors:
            said = harmless(_telling_line(self.errors[-1]))
        return NightdropError(f"{what}: {said}", f"all that duplicity said is in {self.log}")

    def _note(self, event: Event) -> None:
        if event.kind == "error":
            self.errors.append(event.text)
        elif event.kind == "warning":
            self.warnings.append(event.text)


def _telling_line(message: str) -> str:
    """What tells most of a message of duplicity's: its stand-in's line, an exception's last, or all."""
    lines = [line.strip() for line in message.strip().split("\n") if not line.startswith("=====")]
    told = [line.removeprefix("gpgsm: ") for line in lines if line.startswith("gpgsm: ")]
    # Python's own, or duplicity's, which says "innermost" for last.
    if not told and lines[0].startswith("Traceback ("):
        told = lines
    return told[-1] if told else " ".join(lines)


def _environment() -> dict[str, str]:
    """What the duplicity process gets to see of the environment: nothing that could be a secret."""
    kept = {name: os.environ[name] for name in ("PATH", "TZ", "HOME", "TMPDIR") if name in os.environ}
    # Without UTF-8, Python cannot name every file; with it, odd octets pass through unharmed.
    return kept | {"LC_ALL": "C.UTF-8", "PYTHONUTF8": "1"}
