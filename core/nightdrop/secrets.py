"""Secrets that stand elsewhere than in a configuration: in a file, in a systemd credential, or in what a
command prints.

Whoever gets one keeps it in memory: off command lines, and out of logs, job files and the environment
of anybody it is not for.
"""

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, cast

from nightdrop.configuration import Section
from nightdrop.errors import NightdropError
from nightdrop.text import format_duration, harmless

_KINDS: Final = ("file", "credential", "command")
_EXPECTED: Final = 'one of { file = "…" }, { credential = "…" } and { command = ["…"] }'
_PATIENCE: Final = 60
_LONGEST: Final = 64 * 1024


@dataclass(frozen=True)
class Secret:
    """Where a secret is: the path of a file, the name of a systemd credential, or the words of a command
    that prints it.
    """

    kind: Literal["file", "credential", "command"]
    words: tuple[str, ...]

    def fetch(self) -> str:
        """The secret, without the line end at its end; NightdropError if it cannot be had."""
        octets = self._printed() if self.kind == "command" else self._read()
        try:
            text = octets.decode()
        except UnicodeDecodeError as error:
            raise NightdropError(f"the secret from {self.place} is not UTF-8") from error
        text = text.removesuffix("\n").removesuffix("\r")
        if not text or len(octets) > _LONGEST or "\0" in text:
            raise NightdropError(f"what {self.place} holds is no secret: it is empty, too long or binary")
        return text

    def as_table(self) -> dict[str, object]:
        """As it stands in TOML."""
        return {self.kind: list(self.words) if self.kind == "command" else self.words[0]}

    @property
    def place(self) -> str:
        """Where it is, in words."""
        if self.kind == "command":
            return f"the command {harmless(self.words[0])}"
        return f"the {self.kind} {harmless(self.words[0])}"

    def _read(self) -> bytes:
        path = Path(self.words[0])
        if self.kind == "credential":
            folder = os.environ.get("CREDENTIALS_DIRECTORY")
            if folder is None:
                raise NightdropError(
                    f"systemd has handed over no credentials, so not {harmless(self.words[0])}, either",
                    "LoadCredential= in the service says which there are",
                )
            path = Path(folder) / path
        try:
            with path.open("rb") as file:
                return file.read(_LONGEST + 1)
        except OSError as error:
            raise NightdropError(f"cannot read {self.place}: {error.strerror}") from error

    def _printed(self) -> bytes:
        """What the command prints. It has our own environment: that is where its own login may be."""
        try:
            done = subprocess.run(
                self.words,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=_PATIENCE,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise NightdropError(
                f"{self.place} printed no secret within {format_duration(_PATIENCE)}"
            ) from error
        except OSError as error:
            raise NightdropError(f"{self.place} cannot be started: {error.strerror}") from error
        if done.returncode:
            said = done.stderr.decode("utf-8", "replace").strip().split("\n")[-1]
            raise NightdropError(
                f"{self.place} printed no secret: it ended with status {done.returncode}"
                + (f": {harmless(said, 160)}" if said else "")
            )
        return done.stdout


def secret_at(section: Section, key: str) -> Secret:
    """The secret that is described at `key`."""
    if not section.holds_table(key):
        raise section.wrong(key, _EXPECTED, "something else")
    table = section.table(key)
    kinds = table.names()
    if len(kinds) != 1 or kinds[0] not in _KINDS:
        raise section.wrong(key, _EXPECTED, kinds)
    match kinds[0]:
        case "file":
            words = [str(table.file("file"))]
        case "credential":
            words = [table.text("credential")]
            if "/" in words[0]:
                raise table.wrong("credential", "the name of a credential", words[0])
        case _:
            words = table.texts("command")
            if not words:
                raise table.wrong("command", "the words of a command", words)
    return Secret(cast(Literal["file", "credential", "command"], kinds[0]), tuple(words))


def text_or_secret(section: Section, key: str) -> tuple[str, Secret | None]:
    """The text at `key`; or "", and where the text is instead."""
    if section.holds_table(key):
        return "", secret_at(section, key)
    return section.text(key), None
