"""How the last run went, for `nightdrop status`: also one that failed, or was killed."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Final, Literal

from nightdrop.files import whole_file


@dataclass(frozen=True)
class LastRun:
    """A run: when it began and ended (epoch seconds, 0 for not yet), how it ended, and what is to be said
    of that, in lines. One that has not ended, though none is under way, was killed, or had no room to
    say more.
    """

    begun: float
    ended: float = 0.0
    outcome: Literal["under way", "done", "partial", "failed"] = "under way"
    lines: tuple[str, ...] = ()

    @property
    def how(self) -> str:
        """Its outcome in words that follow `the last run`; of one that is no longer under way."""
        return _HOW[self.outcome]


_HOW: Final = {
    "done": "went well",
    "partial": "did not get everything everywhere",
    "failed": "FAILED",
    "under way": "did not write down how it ended: it was killed, or found no room for that",
}


class Record:
    """What a run that is under way has to say of itself; see `recorded`. `unwritten` is why its end could
    not be written down, "" if it could.
    """

    def __init__(self) -> None:
        self.lines: tuple[str, ...] = ()
        self.everywhere = True
        self.unwritten = ""


@contextmanager
def recorded(path: Path) -> Iterator[Record]:
    """Write down at `path` that the block is entered, and how it is left. Where that cannot be written,
    what the block did counts all the same, and the record says why.
    """
    record, begun = Record(), LastRun(time.time())
    _write(path, begun)
    try:
        yield record
    except BaseException as error:
        why = str(error) or type(error).__name__
        # Where it failed because the disk is full, this fails, too.
        with suppress(OSError):
            _write(path, replace(begun, ended=time.time(), outcome="failed", lines=(why,)))
        raise
    outcome: Literal["done", "partial"] = "done" if record.everywhere else "partial"
    try:
        _write(path, replace(begun, ended=time.time(), outcome=outcome, lines=record.lines))
    except OSError as error:
        record.unwritten = error.strerror or str(error)


def read_last_run(path: Path) -> LastRun | None:
    """What is written there; None if there is nothing that can be read."""
    try:
        fields = json.loads(path.read_text())
        return LastRun(**(fields | {"lines": tuple(fields["lines"])}))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _write(path: Path, run: LastRun) -> None:
    with whole_file(path, 0o600) as file:
        file.write(json.dumps(asdict(run)).encode())
