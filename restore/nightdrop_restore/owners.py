"""Whom restored files belong to: names and numbers of the host that was backed up, told as ours.

A file of mappings has one a line: `user OLD NEW` or `group OLD NEW`. OLD is a name or a number as it
was there, NEW a name or a number here. A `#` begins a comment.
"""

import grp
import pwd
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from nightdrop.errors import ConfigurationError
from nightdrop.text import harmless

_LONGEST: Final = 1 << 20
_MOST: Final = 2**32 - 2


@dataclass(frozen=True)
class Owners:
    """Users and groups that become others here: by old name or number, the new number."""

    users: dict[str, int] = field(default_factory=dict)
    groups: dict[str, int] = field(default_factory=dict)

    def user(self, name: str, number: int, otherwise: int) -> int:
        """The number here of a user of this name and number there."""
        return self.users.get(name, self.users.get(str(number), otherwise))

    def group(self, name: str, number: int, otherwise: int) -> int:
        """The same for a group."""
        return self.groups.get(name, self.groups.get(str(number), otherwise))


def load_owners(path: Path) -> Owners:
    """Read a file of mappings; ConfigurationError names the line that is wrong."""
    try:
        with path.open() as file:
            lines = file.read(_LONGEST).splitlines()
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or "it is not text"
        raise ConfigurationError(f"{path}: cannot read these owners: {why}") from error
    owners = Owners()
    for number, line in enumerate(lines, 1):
        words = line.partition("#")[0].split()
        if not words:
            continue
        if len(words) != 3 or words[0] not in ("user", "group"):
            raise ConfigurationError(
                f"{path}: line {number}: expected `user OLD NEW` or `group OLD NEW`",
                "OLD is a name or a number on the host, NEW one on this machine",
            )
        kind, old, new = words
        try:
            if kind == "user":
                owners.users[old] = int(new) if _is_number(new) else pwd.getpwnam(new).pw_uid
            else:
                owners.groups[old] = int(new) if _is_number(new) else grp.getgrnam(new).gr_gid
        except (KeyError, ValueError) as error:
            # ValueError is for what can be no name at all.
            raise ConfigurationError(
                f"{path}: line {number}: this machine has no {kind} {harmless(new)}",
                "make it, or give a number",
            ) from error
    return owners


def _is_number(text: str) -> bool:
    """Whether this is the number of a user or a group, as far as there can be any."""
    return text.isascii() and text.isdecimal() and len(text) <= 10 and int(text) <= _MOST
