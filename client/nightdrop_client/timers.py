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
        timers = json.loads(done.stdout)
        # systemd counts in microseconds; 0 is for one that has no time to come.
        times = [timer["next"] / 1e6 for timer in timers if timer.get("next")]
    except (OSError, subprocess.SubprocessError, ValueError, KeyError, TypeError):
        return None
    return min(times, default=None)
