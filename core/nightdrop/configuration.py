"""Reading TOML so that a mistake is named: which file, which key, what was expected there.

A `Section` hands out values by key and type, and at the end refuses what nobody asked for, so that a
misspelt key is an error and not a setting that silently never took effect.
"""

import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Final

from nightdrop.errors import ConfigurationError, permission_hint
from nightdrop.text import harmless, parse_duration, parse_size

_REQUIRED = object()
_LONGEST: Final = 4 * 1024 * 1024


class Section:
    """One table of a configuration file. `hint` is what to do about a mistake in it."""

    def __init__(self, path: Path, values: dict[str, object], hint: str, prefix: str = "") -> None:
        self.path = path
        self.hint = hint
        self._values = values
        self._prefix = prefix
        self._asked: set[str] = set()

    def has(self, key: str) -> bool:
        """Whether there is something at `key`."""
        return key in self._values

    def text(self, key: str, default: object = _REQUIRED, expected: str = "a text") -> str:
        """The string at `key`, without NULs, which no program takes."""
        value = self._take(key, default, expected)
        if not isinstance(value, str) or "\0" in value or (not value and default is _REQUIRED):
            raise self.wrong(key, expected, value)
        return value

    def flag(self, key: str, default: bool) -> bool:
        """The boolean at `key`."""
        value = self._take(key, default, "true or false")
        if not isinstance(value, bool):
            raise self.wrong(key, "true or false", value)
        return value

    def integer(self, key: str, default: int, least: int, most: int) -> int:
        """The whole number at `key`, from `least` to `most`."""
        expected = f"a whole number from {least} to {most}"
        value = self._take(key, default, expected)
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
            raise self.wrong(key, expected, value)
        return value

    def size(self, key: str, default: str) -> int:
        """The size at `key`, in octets."""
        return self._parsed(key, default, "a size such as 200M or 1.5G", parse_size)

    def duration(self, key: str, default: str) -> int:
        """The duration at `key`, in seconds."""
        return self._parsed(key, default, "a duration such as 8h, 30D or 5W", parse_duration)

    def choice(self, key: str, choices: tuple[str, ...], default: str) -> str:
        """The string at `key`, one of `choices`."""
        expected = " or ".join(f'"{choice}"' for choice in choices)
        value = self._take(key, default, expected)
        if not isinstance(value, str) or value not in choices:
            raise self.wrong(key, expected, value)
        return value

    def texts(self, key: str, default: object = _REQUIRED) -> list[str]:
        """The list of strings at `key`."""
        expected = 'a list of texts, such as ["/etc", "/home"]'
        value = self._take(key, default, expected)
        if not isinstance(value, list) or not all(
            isinstance(item, str) and item and "\0" not in item for item in value
        ):
            raise self.wrong(key, expected, value)
        return value

    def file(self, key: str, default: object = _REQUIRED) -> Path:
        """The path at `key`, made absolute; a relative one is from the configuration file's folder."""
        text = self.text(key, default, "the path of a file or folder")
        return (self.path.parent / text).absolute()

    def names(self) -> list[str]:
        """The keys there are, for a table whose keys are names of the user's own."""
        return list(self._values)

    def holds_table(self, key: str) -> bool:
        """Whether there is a table at `key`."""
        return isinstance(self._values.get(key), dict)

    def table(self, key: str) -> "Section":
        """The table at `key`, empty when it is not there."""
        value = self._take(key, {}, "a table")
        if not isinstance(value, dict):
            raise self.wrong(key, "a table", value)
        return Section(self.path, value, self.hint, f"{self._prefix}{key}.")

    def tables(self, key: str) -> list["Section"]:
        """The array of tables at `key`, empty when it is not there."""
        value = self._take(key, [], "tables, each under [[...]]")
        if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
            raise self.wrong(key, "tables, each under [[...]]", value)
        return [
            Section(self.path, item, self.hint, f"{self._prefix}{key}[{number}].")
            for number, item in enumerate(value, 1)
        ]

    def finish(self) -> None:
        """Refuse every key that nothing asked for."""
        if unknown := sorted(set(self._values) - self._asked):
            known = ", ".join(sorted(self._asked))
            raise ConfigurationError(
                f"{self.path}: unknown key `{self._prefix}{harmless(unknown[0])}`",
                f"the keys known here are: {known}",
            )

    def wrong(self, key: str, expected: str, value: object) -> ConfigurationError:
        """The error that says what should have stood at `key`."""
        return ConfigurationError(
            f"{self.path}: key `{self._prefix}{key}`: expected {expected}, "
            f"found {harmless(repr(value), 80)}",
            self.hint,
        )

    def _take(self, key: str, default: object, expected: str) -> object:
        self._asked.add(key)
        if key in self._values:
            return self._values[key]
        if default is _REQUIRED:
            raise ConfigurationError(
                f"{self.path}: key `{self._prefix}{key}` is missing: expected {expected}", self.hint
            )
        return default

    def _parsed(self, key: str, default: str, expected: str, parse: Callable[[str], int]) -> int:
        value = self._take(key, default, expected)
        try:
            if isinstance(value, str):
                return parse(value)
        except ValueError:
            pass
        raise self.wrong(key, expected, value)


def load(path: Path, what: str, hint: str) -> Section:
    """Read the TOML file at `path`; `what` it is and a `hint`, for the errors there may be."""
    try:
        with path.open("rb") as file:
            octets = file.read(_LONGEST + 1)
    except FileNotFoundError as error:
        raise ConfigurationError(f"{path}: there is no such {what}", hint) from error
    except OSError as error:
        raise ConfigurationError(
            f"{path}: cannot read this {what}: {error.strerror}", permission_hint(error) or hint
        ) from error
    if len(octets) > _LONGEST:
        raise ConfigurationError(f"{path}: this {what} is longer than any can be", hint)
    return parse(octets, path, what, hint)


def parse(octets: bytes, path: Path, what: str, hint: str) -> Section:
    """The same of TOML that was read already; `path` is where it came from."""
    try:
        return Section(path, tomllib.loads(octets.decode()), hint)
    except (ValueError, RecursionError) as error:
        raise ConfigurationError(
            f"{path}: this {what} is not TOML: {harmless(str(error))}", hint
        ) from error
