"""Starting: three programs less to run and wait for, which each cost a fork of all there is; 20 ms."""

from typing import Any

from duplicity import dup_main, gpg

from nightdrop.engine.stand_in import VERSION


def install() -> None:
    """Put these pieces in place."""
    gpg.GPGProfile.get_gpg_version = _version
    dup_main.log_startup_parms = _say_nothing


def _version(_self: Any, _binary: Any) -> tuple[int, ...]:
    """Stands for GPGProfile.get_gpg_version, which asks our stand-in twice."""
    return tuple(map(int, VERSION.split()[-1].split(".")))


def _say_nothing(*_: Any) -> None:
    """Stands for log_startup_parms, which asks uname(1) for the processor, for a log nobody reads."""
