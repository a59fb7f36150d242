"""Notifications by Apprise: Mattermost, ntfy, Matrix, Slack and a hundred more.

The program (`apt install apprise`), not the library: what speaks to a hundred services stays a process of
its own, which gets a title and a text and no more, and Debian keeps it well. Its configuration file holds
the secrets, which so stand in no process list.
"""

import subprocess
from pathlib import Path
from typing import Final

from nightdrop.text import harmless

_TIMEOUT: Final = 120


def notify(configuration: Path, title: str, text: str) -> str:
    """Notify whom an Apprise configuration names; what went wrong in doing so, or ""."""
    command = ["apprise", "--config", str(configuration), "--title", title, "--input-format", "text"]
    try:
        done = subprocess.run(
            command, input=text.encode(), capture_output=True, timeout=_TIMEOUT, check=False
        )
    except FileNotFoundError:
        return "cannot notify: there is no program apprise (`apt install apprise`)"
    except (OSError, subprocess.SubprocessError) as error:
        return f"cannot notify: {type(error).__name__}"
    if done.returncode:
        said = (done.stdout + done.stderr).decode(errors="replace").strip().splitlines()
        return f"cannot notify: apprise ends with {done.returncode}: {harmless(said[-1] if said else '')}"
    return ""
