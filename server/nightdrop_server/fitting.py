"""Fits a mirror's systemd units to its `mirror.toml`; `install.sh mirror` runs it.

`python -m nightdrop_server.fitting MIRROR.toml FOLDER` writes into FOLDER drop-ins for what the units do
not say themselves (a vault, a state, an address elsewhere), the list of units to enable, and the vault's
path.
"""

import sys
from pathlib import Path
from typing import Final

from nightdrop.cli import complain
from nightdrop.errors import NightdropError
from nightdrop.mirror import Listen, Mirror, load_mirror

VAULT: Final = Path("/srv/nightdrop/vault")
STATE: Final = Path("/var/lib/nightdrop/mirror")
DOOR: Final = Listen("::", 8443)
ADMINISTRATION: Final = Listen("127.0.0.1", 8444)

_CHECKS: Final = ("look", "report", "scrub", "send")


def drop_ins(mirror: Mirror) -> dict[str, str]:
    """For each unit that has to be told something, what its drop-in says."""
    found = {}
    checked = _check(mirror)
    if served := _service(mirror):
        found["nightdrop-serve.service"] = served
    if checked:
        found |= {f"nightdrop-{name}.service": checked for name in _CHECKS}
    if mirror.listen != DOOR:
        found["nightdrop-serve.socket"] = _socket(mirror.listen)
    if mirror.administration not in (None, ADMINISTRATION):
        assert mirror.administration is not None
        found["nightdrop-administration.socket"] = _socket(mirror.administration)
    return found


def units(mirror: Mirror) -> list[str]:
    """The units that such a mirror needs, in the order in which they start."""
    found = ["nightdrop-serve.socket"]
    if mirror.administration is not None:
        found.append("nightdrop-administration.socket")
    found += ["nightdrop-serve.service", "nightdrop-look.timer", "nightdrop-scrub.timer"]
    if mirror.check.mail is not None:
        found += ["nightdrop-report.timer", "nightdrop-send.timer"]
    return found


def _service(mirror: Mirror) -> str:
    if (mirror.vault, mirror.state) == (VAULT, STATE):
        return ""
    writable = [mirror.vault] + ([] if mirror.state == STATE else [mirror.state])
    return _section("Unit", "RequiresMountsFor", writable) + _section(
        "Service", "ReadWritePaths", writable, anew=True
    )


def _check(mirror: Mirror) -> str:
    check = mirror.check
    wanted = [mirror.state, check.page, *([check.metrics.parent] if check.metrics else [])]
    writable = [path for path in wanted if path != STATE and not path.is_relative_to(STATE)]
    text = _section("Unit", "RequiresMountsFor", [] if mirror.vault == VAULT else [mirror.vault])
    return text + _section("Service", "ReadWritePaths", writable)


def _section(name: str, key: str, paths: list[Path], *, anew: bool = False) -> str:
    """One setting of one section, with these paths; "" without any. `anew`: forget what the unit says."""
    if not paths:
        return ""
    lines = [f"[{name}]", *([f"{key}="] if anew else []), *(f"{key}={_quoted(path)}" for path in paths)]
    return "\n".join(lines) + "\n"


def _quoted(path: Path) -> str:
    """A path as systemd.syntax(7) has it in a list, with nothing that means something else there."""
    text = str(path).replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    return f'"{text}"'


def _socket(listen: Listen) -> str:
    address = f"[{listen.address}]" if ":" in listen.address else listen.address
    where = str(listen.port) if listen.address == "::" else f"{address}:{listen.port}"
    # An address that this machine gets only later, from a VPN, say, can be listened on all the same.
    return f"[Socket]\nListenStream=\nListenStream={where}\nFreeBind=yes\n"


def main() -> None:
    """Write the files."""
    try:
        mirror = load_mirror(Path(sys.argv[1]))
    except NightdropError as error:
        sys.exit(complain(error))
    folder = Path(sys.argv[2])
    for unit, text in drop_ins(mirror).items():
        (folder / f"{unit}.d").mkdir()
        (folder / f"{unit}.d" / "mirror-toml.conf").write_text(f"# From {mirror.path}.\n{text}")
    (folder / "units").write_text("\n".join(units(mirror)) + "\n")
    (folder / "vault").write_text(f"{mirror.vault}\n")


if __name__ == "__main__":
    main()
