"""`client.toml`: what to back up, how, and which bundle says where to."""

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Final, cast

from nightdrop.configuration import Section, load
from nightdrop.enrolment import Bundle
from nightdrop.envelope.algorithms import SEALING_CIPHERS, CipherName
from nightdrop.envelope.recipients import Recipient, parse_recipients
from nightdrop.errors import ConfigurationError
from nightdrop.signatures import SigningKey, load_signing_key
from nightdrop_client.bundles import find_bundle, read_bundle
from nightdrop_client.hooks import Hooks
from nightdrop_client.limits import Limits, load_limits
from nightdrop_client.sources.configuration import Sources, load_sources

DEFAULT_PATH: Final = Path("/etc/nightdrop/client.toml")

KERNEL_FOLDERS: Final = ("/proc", "/sys", "/dev", "/run")
"""What is never backed up when the whole of / is: the kernel's own file systems."""


@dataclass(frozen=True)
class Client:
    """One client's configuration.

    `state` is the folder for what the client remembers. `include` are absolute folders or files
    without symbolic links on the way; `exclude` duplicity's globs. `full_every` and `patience` are
    in seconds, `volume_size` in octets. A folder that holds a file called as one of
    `exclude_if_present` is left out. Receipts are signed with `signing_key`, if there is one.
    """

    path: Path
    bundle_path: Path
    bundle: Bundle
    recipients: tuple[Recipient, ...]
    state: Path
    include: tuple[str, ...]
    exclude: tuple[str, ...]
    exclude_if_present: tuple[str, ...]
    one_file_system: bool
    hooks: Hooks
    sources: Sources
    full_every: int
    volume_size: int
    cipher: CipherName
    compress: bool
    patience: int
    limits: Limits
    signing_key: SigningKey | None

    @property
    def facts(self) -> dict[str, str]:
        """What hooks are told, as environment variables."""
        return {"NIGHTDROP_HOST": self.bundle.host, "NIGHTDROP_CONFIG": str(self.path)}


def load_client(path: Path) -> Client:
    """Read a client's configuration and its bundle; ConfigurationError says what is wrong where."""
    section = load(path, "client configuration", "client.example.toml has every key, with its meaning")
    folders, hooks = section.table("folders"), section.table("hooks")
    sources = load_sources(section)
    bundle_path = find_bundle(section.file("bundle", "bundle.toml"), path.stem)
    bundle = read_bundle(bundle_path)
    if not section.flag("bundle_secrets", False):
        _require_plain_passwords(path, bundle_path, bundle)
    client = Client(
        path=path,
        bundle_path=bundle_path,
        bundle=bundle,
        recipients=tuple(parse_recipients("\n".join(bundle.recipients).encode(), str(bundle_path))),
        state=section.file("state", "/var/lib/nightdrop/client"),
        include=tuple(_source(folders, name) for name in _included(folders, sources)),
        exclude=tuple(_pattern(folders, pattern) for pattern in folders.texts("exclude", [])),
        exclude_if_present=tuple(
            _file_name(folders, name) for name in folders.texts("exclude_if_present", [])
        ),
        one_file_system=folders.flag("one_file_system", False),
        hooks=Hooks(
            before=tuple(hooks.texts("before", [])),
            after=tuple(hooks.texts("after", [])),
            failure=tuple(hooks.texts("failure", [])),
            patience=hooks.duration("patience", "1h"),
        ),
        sources=sources,
        full_every=section.duration("full_every", "30D"),
        volume_size=section.size("volume_size", "200M"),
        cipher=cast(CipherName, section.choice("cipher", SEALING_CIPHERS, "aes-256-gcm")),
        compress=section.choice("compress", ("zstd", "none"), "zstd") == "zstd",
        patience=section.duration("patience", "30m"),
        limits=load_limits(section.table("limits")),
        signing_key=_signing_key(section),
    )
    _require_nothing_wholly_left_out(path, client.include, client.exclude)
    folders.finish()
    hooks.finish()
    section.finish()
    if not client.include and not sources.places:
        raise folders.wrong("include", "at least one folder", [])
    if not 1_000_000 <= client.volume_size <= 10_000_000_000:
        raise section.wrong("volume_size", "a size from 1M to 10G", client.volume_size)
    return client


def _require_plain_passwords(path: Path, bundle_path: Path, bundle: Bundle) -> None:
    """Refuse a bundle that could have root run or read what whoever handed it out likes."""
    for mirror in bundle.mirrors:
        if mirror.secret is not None:
            raise ConfigurationError(
                f"{bundle_path}: it takes the password of {mirror.name} from {mirror.secret.place}",
                f"if you wrote that, and not who handed out the bundle, put `bundle_secrets = true` "
                f"into {path}",
            )


def _signing_key(section: Section) -> SigningKey | None:
    return load_signing_key(section.file("signing_key")) if section.text("signing_key", "") else None


def _included(folders: Section, sources: Sources) -> list[str]:
    """What stands at `include`, which need not be there if there are other sources."""
    return folders.texts("include", []) if sources.places else folders.texts("include")


def _source(section: Section, name: str) -> str:
    """An included folder or file as it may stand: absolute, there, and reached without a link.

    duplicity would keep a symbolic link as a link, so a source behind one would be an empty backup.
    """
    if not name.startswith("/") or "\0" in name:
        raise section.wrong("include", "absolute paths", name)
    clean = os.path.normpath(name)
    if not os.path.lexists(clean):
        raise ConfigurationError(
            f"{section.path}: the source {clean} does not exist",
            "take it out of `folders.include`, or see whether it should have been mounted",
        )
    if (real := os.path.realpath(clean)) != clean:
        raise ConfigurationError(
            f"{section.path}: the source {clean} is, or lies behind, a symbolic link",
            f"name the place it leads to: {real}",
        )
    return clean


def _pattern(section: Section, pattern: str) -> str:
    # Only who leaves something out waits for this import.
    from duplicity.globmatch import GlobbingError, select_fn_from_glob

    try:
        if pattern.startswith(("/", "**")):
            select_fn_from_glob(pattern, include=0)
            return pattern
    except (GlobbingError, re.error):
        pass
    raise section.wrong(
        "exclude",
        'a path such as "/home/*/tmp", or one that begins with **, without // and with ranges '
        "such as [a-z]",
        pattern,
    )


def _require_nothing_wholly_left_out(path: Path, include: Sequence[str], exclude: Sequence[str]) -> None:
    """Refuse a source that a pattern leaves out, with all that is in it: nobody would miss it."""
    if not exclude:
        return
    from duplicity.globmatch import select_fn_from_glob

    for pattern in exclude:
        select = select_fn_from_glob(pattern, include=0)
        for source in include:
            if select(SimpleNamespace(uc_name=source, isdir=partial(os.path.isdir, source))) == 0:
                raise ConfigurationError(
                    f"{path}: the source {source} is left out by `folders.exclude`: {pattern}",
                    "take one of the two away, or make the pattern narrower",
                )


def _file_name(section: Section, name: str) -> str:
    if "/" in name or "\0" in name:
        raise section.wrong("exclude_if_present", 'names of files, such as ".nobackup"', name)
    return name
