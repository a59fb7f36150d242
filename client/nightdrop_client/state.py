"""The client's folder of state: what lies where in it, and the lock that keeps runs from overlapping."""

import fcntl
import os
from dataclasses import dataclass
from pathlib import Path

from nightdrop.errors import ExitStatus, NightdropError

DUPLICITY_NAME = "backup"


class SkippedError(NightdropError):
    """A run that is not made, because there is no need or it is not the time; nothing is wrong."""

    exit_status = ExitStatus.DONE


@dataclass(frozen=True)
class State:
    """The places in the state folder. All of it is readable by its owner alone."""

    root: Path

    @property
    def archive_root(self) -> Path:
        """What duplicity is told as its archive directory."""
        return self.root / "archive"

    @property
    def archive(self) -> Path:
        """Where duplicity's local metadata really lies."""
        return self.archive_root / DUPLICITY_NAME

    @property
    def drop_log(self) -> Path:
        """The record of what was dropped where."""
        return self.root / "drops.sqlite"

    @property
    def outbox(self) -> Path:
        """Supplements and receipts that some mirror still lacks."""
        return self.root / "outbox"

    @property
    def recipients(self) -> Path:
        """The certificates that each full was sealed to, a file a full."""
        return self.root / "recipients"

    @property
    def scratch(self) -> Path:
        """What a run needs for its own time only; emptied before each run."""
        return self.root / "scratch"

    @property
    def pulled(self) -> Path:
        """What was fetched from other machines, kept so that only changes are fetched again."""
        return self.root / "pulled"

    @property
    def views(self) -> Path:
        """Where snapshots are mounted while they are read."""
        return self.root / "views"

    @property
    def duplicity_log(self) -> Path:
        """What duplicity said in the last run."""
        return self.root / "duplicity.log"

    @property
    def last_run(self) -> Path:
        """How the last run went."""
        return self.root / "last-run.json"

    @property
    def lock_file(self) -> Path:
        """What a run holds a lock on for as long as any part of it lives."""
        return self.root / "lock"

    def prepare(self) -> None:
        """Make the folders."""
        try:
            for folder in (self.root, self.archive_root, self.archive, self.outbox, self.scratch):
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise NightdropError(
                f"cannot make the state folder {self.root}: {error.strerror}",
                "name another with `state` in client.toml, or run as root",
            ) from error

    def lock(self) -> int:
        """Take the lock of this state, or raise SkippedError because a run is under way.

        Returns the descriptor that holds it. The duplicity process inherits that, so that the lock
        is held for as long as any part of a run is alive.
        """
        descriptor = os.open(self.lock_file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(descriptor)
            raise SkippedError(
                f"a backup with the state {self.root} is already under way",
                "nothing is wrong: that one makes the set",
            ) from error
        return descriptor


def is_running(state: State) -> bool:
    """Whether a run is under way there."""
    try:
        descriptor = os.open(state.lock_file, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False
