"""When systemd will start the next run of a job, as far as it is the one that does."""

import json
import subprocess
from pathlib import Path


def next_start(config: Path) -> float | None:
    """When the timer of the job with this configuration is due (epoch seconds); None if there is none.

    The timer of `/etc/nightdrop/NAME.toml` is `nightdrop-backup@NAME.timer`.
    """
    unit = f"nightdrop-backup@{config.stem}.timer"
    command = ["systemctl", "list-timers", "--output=json", unit]
    try:
        done = subprocess.run(command, capture_output=True, timeout=30, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return first_start(done.stdout)


def first_start(printed: bytes) -> float | None:
    """The first time among what `systemctl list-timers --output=json` printed; None if there is none, or
    this systemd knows no JSON.
    """
    try:
        # It counts in microseconds; 0 is for a timer that has no time to come.
        times = [timer["next"] / 1e6 for timer in json.loads(printed) if timer["next"]]
    except (ValueError, KeyError, TypeError):
        return None
    return min(times, default=None)
