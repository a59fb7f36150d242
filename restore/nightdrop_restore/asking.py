"""Asking whoever restores whether a file that is there may be overwritten: on the terminal itself.

The files are written by a process whose standard input is nothing; the terminal is there all the same.
"""

import os

from nightdrop.text import harmless
from nightdrop_restore.writing import Index


class Asker:
    """Asks for each file, until told to ask no more."""

    def __init__(self) -> None:
        self._always: bool | None = None

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
                    answer = terminal.readline().strip().lower()
                    if answer in (b"a", b"all", b"o", b"none"):
                        self._always = answer in (b"a", b"all")
                        return self._always
                    if answer in (b"y", b"yes", b"n", b"no", b""):
                        return answer in (b"y", b"yes")
        except OSError:
            self._always = False
            return False
