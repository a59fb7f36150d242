"""What stands in for parts of duplicity in a backup and in a restore; each role has more of its own."""

import gc
import os
from collections.abc import Callable, Collection
from contextlib import suppress
from typing import Any

from duplicity import gpginterface, util

from nightdrop.engine import tars

_make_tarfile = util.make_tarfile
_as_child = gpginterface.GnuPG._as_child


def read_tars() -> None:
    """Have make_tarfile open our reader; what is written is left to whoever asks for it."""

    def open_tar(mode: str, file: Any) -> Any:
        return tars.Reader(file) if mode == "r" else _make_tarfile(mode, file)

    util.make_tarfile = open_tar


def stand_in_within(act: Callable[[list[str]], int], mode: str, keep: Collection[int] = ()) -> None:
    """Have the stand-in for gpgsm be the child that duplicity forks, without an interpreter of its own.

    `act` gets gpgsm's arguments and gives the exit status; `mode` is the argument it is for; `keep` are
    descriptors that stay open. That is safe although other threads of ours may be sending just
    then, because the child uses nothing that they could have locked: it computes with cryptography's
    copy of OpenSSL, and they with that of Python's ssl and hashlib; and it leaves by _exit.
    """

    def as_child(self: Any, process: Any, commands: list[str], arguments: list[str]) -> None:
        if mode not in commands:
            _as_child(self, process, commands, arguments)
        status = 2
        try:
            # Nothing of what is inherited may be ended here: not a connection, not a file.
            gc.disable()
            for number, name in enumerate(("stdin", "stdout", "stderr")):
                os.dup2(process._pipes[name].child, number)
            # Or a connection that is closed by a thread there would stay open here.
            for descriptor in map(int, os.listdir("/proc/self/fd")):
                if descriptor > 2 and descriptor not in keep:
                    with suppress(OSError):
                        os.close(descriptor)
            status = act(commands)
        finally:
            os._exit(status)

    gpginterface.GnuPG._as_child = as_child
