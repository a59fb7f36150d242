"""The secrets of a run: got once, when it begins, and handed to the duplicity process through memory.

They are in no file, no argument and no log; and in the environment of nobody but the command that a
secret is for.
"""

import json
import os
from dataclasses import asdict, dataclass, field, replace

from nightdrop.enrolment import Bundle
from nightdrop.errors import NightdropError

_SHORTEST_HIDDEN = 4


@dataclass(frozen=True)
class StreamSecrets:
    """The secrets of one command, by the names of the variables in which it gets them: themselves
    (`variables`), or the path of a file with them (`files`).
    """

    variables: dict[str, str] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)

    def without(self, text: str) -> str:
        """A text in which none of them stands any more."""
        for secret in [*self.variables.values(), *self.files.values()]:
            if len(secret) >= _SHORTEST_HIDDEN:
                text = text.replace(secret, "***")
        return text


@dataclass(frozen=True)
class Secrets:
    """The mirrors' passwords, by the mirror's name, and the commands' secrets, by the command's place."""

    passwords: dict[str, str]
    streams: dict[str, StreamSecrets]

    def share(self) -> int:
        """A descriptor that holds them, for a process to inherit; gone when the last one closes it."""
        descriptor = os.memfd_create("nightdrop", os.MFD_CLOEXEC)
        os.write(descriptor, json.dumps(asdict(self)).encode())
        return descriptor


def shared_secrets(descriptor: int) -> Secrets:
    """What `share` put behind a descriptor, which is closed."""
    with os.fdopen(descriptor, "rb") as file:
        file.seek(0)
        fields = json.load(file)
    streams = {place: StreamSecrets(**one) for place, one in fields["streams"].items()}
    return Secrets(fields["passwords"], streams)


def with_passwords(bundle: Bundle) -> tuple[Bundle, dict[str, str]]:
    """The bundle with the passwords that stand elsewhere; and for each mirror whose password cannot be
    had, why.
    """
    mirrors, failures = [], {}
    for mirror in bundle.mirrors:
        password = mirror.password
        if mirror.secret is not None:
            try:
                password = mirror.secret.fetch()
            except NightdropError as error:
                failures[mirror.name] = f"its password is not to be had: {error.message}"
        mirrors.append(replace(mirror, password=password))
    return replace(bundle, mirrors=tuple(mirrors)), failures
