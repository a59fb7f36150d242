"""The sources in `client.toml`: `[[commands]]`, `[[containers]]`, `[[volumes]]`, `[[pulled]]`, and the
`[[snapshots]]` that folders are read from.
"""

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, TypeVar, cast

from nightdrop.configuration import Section
from nightdrop.secrets import Secret, secret_at, text_or_secret
from nightdrop_client.sources.ready import FAILED_SUFFIX, ROOT

Engine = Literal["podman", "docker"]
SnapshotKind = Literal["zfs", "btrfs", "lvm"]

_ENGINES: Final = ("podman", "docker")
_SNAPSHOT_KINDS: Final = ("zfs", "btrfs", "lvm")
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", re.ASCII)
_VARIABLE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)


@dataclass(frozen=True)
class Command:
    """A command whose output is kept at `place`. `variables` and `files` are the secrets that it gets in
    its environment, as they are or as paths of files; for the rest see `ready.Stream`.
    """

    place: str
    command: tuple[str, ...]
    environment: Mapping[str, str]
    variables: Mapping[str, Secret]
    files: Mapping[str, Secret]
    ends_with: str
    patience: int


@dataclass(frozen=True)
class Volume:
    """A named volume of a container engine."""

    place: str
    name: str
    engine: Engine


@dataclass(frozen=True)
class Snapshot:
    """A folder that is read from a snapshot of its file system: the mount point of a ZFS dataset or of a
    logical volume, or a btrfs subvolume. `room` is what LVM keeps for changes meanwhile, in octets.
    """

    folder: str
    kind: SnapshotKind
    room: int


@dataclass(frozen=True)
class Pull:
    """A folder on another machine, fetched by FTPS: TLS from the first octet (`implicit`) or by AUTH TLS.
    `certificate` is the one that the machine has to show, None for what the system's authorities vouch
    for. `patience` is in seconds.
    """

    place: str
    name: str
    host: str
    port: int
    implicit: bool
    user: str
    password: str
    secret: Secret | None
    folder: str
    certificate: Path | None
    patience: int


@dataclass(frozen=True)
class Sources:
    """All sources but the folders."""

    commands: tuple[Command, ...]
    volumes: tuple[Volume, ...]
    pulls: tuple[Pull, ...]
    snapshots: tuple[Snapshot, ...]

    @property
    def places(self) -> tuple[str, ...]:
        """Where in a set what these sources give is kept."""
        found = [one.place for one in self.commands]
        found += [one.place for one in self.pulls]
        return (*found, *(one.place for one in self.volumes))


def load_sources(section: Section) -> Sources:
    """Read the sources out of a client's configuration; ConfigurationError says what is wrong where."""
    commands = _each(section, "commands", _command)
    containers = _each(section, "containers", _container)
    return Sources(
        (*commands, *containers),
        _each(section, "volumes", _volume),
        _each(section, "pulled", _pull),
        _each(section, "snapshots", _snapshot, "folder"),
    )


One = TypeVar("One")


def _each(
    section: Section, key: str, read: Callable[[Section], One], name: str = "name"
) -> tuple[One, ...]:
    """What stands at `key`, each with another `name`."""
    found: dict[str, One] = {}
    for table in section.tables(key):
        one = read(table)
        table.finish()
        if table.text(name) in found:
            raise table.wrong(name, "another one in each", table.text(name))
        found[table.text(name)] = one
    return tuple(found.values())


def _command(table: Section) -> Command:
    return Command(
        place=_place(table, "commands"),
        command=_words(table, "command"),
        environment=_environment() | _texts_by_variable(table, "environment"),
        variables=_secrets(table, "secrets"),
        files=_secrets(table, "secret_files"),
        ends_with=table.text("ends_with", ""),
        patience=table.duration("patience", "1h"),
    )


def _container(table: Section) -> Command:
    """A command inside a container. Its variables are named on the engine's command line, and only there:
    the engine takes their values from its own environment.
    """
    engine = table.choice("engine", _ENGINES, "podman")
    inside = _texts_by_variable(table, "environment")
    variables = _secrets(table, "secrets")
    named = [word for name in (*inside, *variables) for word in ("--env", name)]
    container = _plain(table, "container", "the name of a container")
    return Command(
        place=_place(table, "containers"),
        command=(engine, "exec", *named, container, *_words(table, "command")),
        environment=engine_environment() | inside,
        variables=variables,
        files={},
        ends_with=table.text("ends_with", ""),
        patience=table.duration("patience", "1h"),
    )


def _volume(table: Section) -> Volume:
    return Volume(
        _place(table, "volumes"),
        table.text("name"),
        cast(Engine, table.choice("engine", _ENGINES, "podman")),
    )


def _pull(table: Section) -> Pull:
    implicit = table.choice("tls", ("explicit", "implicit"), "explicit") == "implicit"
    password, secret = text_or_secret(table, "password")
    folder = table.text("folder", "/")
    if not folder.startswith("/") or not folder.isprintable():
        raise table.wrong("folder", "an absolute path on that machine", folder)
    return Pull(
        place=_place(table, "pulled"),
        name=table.text("name"),
        host=_plain(table, "host", "the name or address of a machine"),
        port=table.integer("port", 990 if implicit else 21, 1, 65535),
        implicit=implicit,
        user=_plain(table, "user", "the name of a user"),
        password=password,
        secret=secret,
        folder=folder,
        certificate=table.file("certificate") if table.has("certificate") else None,
        patience=table.duration("patience", "1h"),
    )


def _snapshot(table: Section) -> Snapshot:
    folder = table.text("folder")
    if not folder.startswith("/") or os.path.normpath(folder) != folder:
        raise table.wrong("folder", "the absolute path of a mount point", folder)
    kind = table.choice("kind", _SNAPSHOT_KINDS, "")
    return Snapshot(folder, cast(SnapshotKind, kind), table.size("room", "2G"))


def _place(table: Section, folder: str) -> str:
    name = table.text("name")
    if not _NAME.fullmatch(name) or name.endswith(FAILED_SUFFIX):
        raise table.wrong(
            "name", f'letters, digits, ".", "_" and "-", not ending in "{FAILED_SUFFIX}"', name
        )
    return f"{ROOT}/{folder}/{name}"


def _plain(table: Section, key: str, expected: str) -> str:
    """A text that no program can take for an option or for two words."""
    text = table.text(key)
    if text.startswith("-") or not text.isprintable() or set(text) & set(" \"'\\"):
        raise table.wrong(key, expected, text)
    return text


def _words(table: Section, key: str) -> tuple[str, ...]:
    words = table.texts(key)
    if not words or any("\0" in word for word in words):
        raise table.wrong(key, 'the words of a command, such as ["pg_dump", "shop"]', words)
    return tuple(words)


def _secrets(table: Section, key: str) -> dict[str, Secret]:
    return {name: secret_at(inner, name) for inner, name in _variables(table, key)}


def _texts_by_variable(table: Section, key: str) -> dict[str, str]:
    return {name: inner.text(name, "") for inner, name in _variables(table, key)}


def _variables(table: Section, key: str) -> list[tuple[Section, str]]:
    inner = table.table(key)
    names = inner.names()
    for name in names:
        if not _VARIABLE.fullmatch(name):
            raise table.wrong(key, "the names of environment variables", name)
    return [(inner, name) for name in names]


def _environment() -> dict[str, str]:
    """What every command gets to see: nothing that could be a secret."""
    kept = ("PATH", "HOME", "TZ", "USER", "LOGNAME")
    return {name: os.environ[name] for name in kept if name in os.environ} | {"LC_ALL": "C.UTF-8"}


def engine_environment() -> dict[str, str]:
    """What a container engine gets to see: also where it is and how it is set up."""
    kept = ("CONTAINER", "DOCKER_", "XDG_")
    return _environment() | {name: value for name, value in os.environ.items() if name.startswith(kept)}
