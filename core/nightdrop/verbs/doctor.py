"""`nightdrop doctor`: is everything in place? Each role looks at its own; this finds and prints."""

import argparse
import importlib
import json
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Final

from nightdrop.configuration import load
from nightdrop.errors import ExitStatus, NightdropError, UsageError
from nightdrop.examining import Line

DESCRIPTION = """
See whether everything is in place, role by role, for every role that is configured on this machine:

  client  configuration, bundle, certificates, room, the timer and its last run; and of each mirror that
          it answers, takes the password, refuses GET, would take a file, and has the same time. The file
          is broken off before its first byte, so nothing is left of it.
  mirror  configuration, vault, room, certificates, enrolled hosts, that the door answers and refuses,
          mail, services, timers and their last runs.
  admin   what restores; where nothing else is configured.

Each line is ok, warn or fail, with a hint. What hangs is given up after a minute, and said. Exits 1 if a
line is fail.
"""

_EXAMINATIONS: Final = {
    "client": ("nightdrop_client.examination", Path("/etc/nightdrop/client.toml")),
    "mirror": ("nightdrop_server.examination", Path("/etc/nightdrop/mirror.toml")),
    "admin": ("nightdrop_restore.examination", None),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument("--role", choices=tuple(_EXAMINATIONS), help="only this one")
    parser.add_argument(
        "--config", metavar="FILE", type=Path, help="a client's or a mirror's configuration elsewhere"
    )
    parser.add_argument("--json", action="store_true", help="print the lines as one JSON object")


def run(arguments: argparse.Namespace) -> ExitStatus:
    """Look, and say."""
    well = True
    found: dict[str, list[dict[str, str]]] = {}
    for role, path in _chosen(arguments.role, arguments.config):
        if not arguments.json:
            print(f"{role}{f', {path}' if path else ''}", flush=True)
        lines = found.setdefault(role, [])
        for line in _examine(role, path):
            well = well and line.verdict != "fail"
            lines.append(asdict(line))
            if not arguments.json:
                print(line, flush=True)
    if arguments.json:
        print(json.dumps({"well": well, "roles": found}, indent=1))
    return ExitStatus.DONE if well else ExitStatus.FAILED


def _chosen(role: str | None, config: Path | None) -> list[tuple[str, Path | None]]:
    """The roles to look at, and their configurations."""
    if role == "admin" and config:
        raise UsageError("the admin role has no configuration", "leave --config out")
    if config:
        return [(role or _role_of(config), config)]
    if role:
        return [(role, _EXAMINATIONS[role][1])]
    configured = [(name, path) for name, (_, path) in _EXAMINATIONS.items() if path and path.exists()]
    return list(configured) or [("admin", None)]


def _role_of(config: Path) -> str:
    """Whose configuration a file is: a mirror's has a vault."""
    section = load(config, "configuration", "`--role` says whose it is")
    return "mirror" if section.has("vault") else "client"


def _examine(role: str, path: Path | None) -> Iterator[Line]:
    """A role's lines; what keeps it from looking further is the last."""
    try:
        module = importlib.import_module(_EXAMINATIONS[role][0])
        examine: Callable[[Path | None], Iterator[Line]] = module.examine
        yield from examine(path)
    except ModuleNotFoundError as error:
        text = f"the {role} role is not installed here (no module {error.name})"
        yield Line("fail", "installation", text, f"./install.sh {role}")
    except NightdropError as error:
        yield Line("fail", "configuration", error.message, error.hint)
