"""What systemd knows of our units, for `nightdrop doctor`."""

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from nightdrop.errors import ExitStatus
from nightdrop.examining import Line

_STATUS: Final = {
    str(ExitStatus.PARTIAL.value): "it was done, but not everywhere",
    str(ExitStatus.FINDINGS.value): "it found errors",
}

_BOOTED: Final = Path("/run/systemd/system")


def units(timers: list[str], others: list[str], install: str) -> Iterator[Line]:
    """Whether these run, when the timers fire next, and how what they start ended the last time.

    `install` is what sets them up.
    """
    if not _BOOTED.is_dir():
        what = "timer" if timers else "service"
        yield Line("warn", what, "this machine does not run systemd", "see that something else starts it")
        return
    for name in others:
        facts = _show(name)
        if facts.get("ActiveState") == "active":
            yield Line("ok", name, "is active")
        else:
            yield _not_active(name, facts, install)
    for name in timers:
        yield _timer(name, install)
        yield from _outcome(name.replace(".timer", ".service"))


def _timer(name: str, install: str) -> Line:
    facts = _show(name)
    if facts.get("ActiveState") != "active":
        return _not_active(name, facts, install)
    due = facts.get("NextElapseUSecRealtime") or "as soon as what it starts has ended"
    if facts.get("UnitFileState") != "enabled":
        return Line("warn", name, f"due {due}, but not after the next boot", f"systemctl enable {name}")
    return Line("ok", name, f"due {due}")


def _outcome(name: str) -> Iterator[Line]:
    facts = _show(name)
    if facts.get("ActiveState") in ("activating", "active"):
        yield Line("ok", name, "runs just now")
    elif not facts.get("ExecMainExitTimestamp"):
        yield Line("ok", name, "has not run since the machine started")
    elif facts.get("Result") == "success":
        yield _success(name, facts["ExecMainExitTimestamp"], facts.get("ExecMainStatus", "0"))
    else:
        text = f"failed ({facts.get('Result')}) on {facts['ExecMainExitTimestamp']}"
        yield Line("fail", name, text, f"journalctl -u {name}")


def _success(name: str, ended: str, status: str) -> Line:
    """What systemd takes for one is less where not all was done, or something was found."""
    if status == "0":
        return Line("ok", name, f"ended well on {ended}")
    return Line(
        "warn", name, f"{_STATUS.get(status, f'status {status}')}, on {ended}", f"journalctl -u {name}"
    )


def _not_active(name: str, facts: dict[str, str], install: str) -> Line:
    if facts.get("LoadState") != "loaded":
        return Line("fail", name, "is not installed", install)
    state = facts.get("ActiveState", "unknown")
    return Line("fail", name, f"is {state}", f"systemctl enable --now {name}")


def _show(name: str) -> dict[str, str]:
    """A unit's properties, as `systemctl show` has them."""
    command = ["systemctl", "show", name]
    try:
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    except OSError:
        return {}
    pairs = (line.partition("=") for line in done.stdout.splitlines())
    return {key: value for key, _, value in pairs}
