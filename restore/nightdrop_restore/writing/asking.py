"""Asking whoever restores whether a file that is there may be overwritten: on the terminal itself."""

import os
from select import select
from typing import Final

from nightdrop.text import harmless
from nightdrop_restore.items import Index

_PATIENCE: Final = 0.2


class Asker:
    """Asks for each file, until told to ask no more; `stop` may be called by another thread."""

    def __init__(self) -> None:
        self._always: bool | None = None

    def stop(self) -> None:
        """The answer is no from now on, to a question that is being asked, too."""
        self._always = False

    def __call__(self, index: Index) -> bool:
        """Whether the file of this path may be overwritten; no, where there is no terminal."""
        if self._always is not None:
            return self._always
        name = harmless(os.fsdecode(b"/".join(index)), 1000)
        try:
            with open("/dev/tty", "r+b", buffering=0) as terminal:  # noqa: PTH123
                while True:
                    question = f"\r\x1b[K{name} is there. Overwrite? [y]es, [n]o, [a]ll, n[o]ne: "
                    terminal.write(question.encode("utf-8", "backslashreplace"))
                    while not select([terminal], [], [], _PATIENCE)[0]:
                        if self._always is not None:
                            return self._always
                    answer = terminal.readline().strip().lower()
                    if answer in (b"a", b"all", b"o", b"none"):
                        self._always = answer in (b"a", b"all")
                        return self._always
                    if answer in (b"y", b"yes", b"n", b"no", b""):
                        return answer in (b"y", b"yes")
        except OSError:
            self._always = False
            return False
