"""Restoring a host's files from a vault: duplicity unpacks a chain, then the supplement is applied."""

import os
import re
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

from nightdrop.engine.events import Event
from nightdrop.engine.process import Engine
from nightdrop.errors import EnvelopeError, NightdropError, UsageError
from nightdrop.supplement import parse_supplement
from nightdrop.vault import FolderVault
from nightdrop_restore.catalog import VaultSet
from nightdrop_restore.gpgsm import share_key, write_gpgsm
from nightdrop_restore.launcher import URL, Order
from nightdrop_restore.opening import open_envelope
from nightdrop_restore.relinking import apply_supplement
from nightdrop_restore.unwrapping import Key

OnFetch = Callable[[int], object]
"""Told of each file taken from the vault: its size in octets."""

_SUPPLEMENT_LIMIT = 64 * 1024 * 1024
_LISTED = re.compile(r"\w{3} \w{3} [ \d]\d \d\d:\d\d:\d\d \d{4} ", re.ASCII)


@dataclass(frozen=True)
class Restored:
    """How a restore went: seconds it took, what duplicity warned of, and the paths of hard links or
    sparse files that could not be made what they were.
    """

    seconds: float
    warnings: list[str]
    unlike: list[bytes]


@dataclass(frozen=True)
class Origin:
    """Where to restore from: a vault, a host in it, and the chain, full first."""

    vault: FolderVault
    host: str
    chain: Sequence[VaultSet]
    key: Key


def restore(origin: Origin, folder: Path, path: str, numeric_owner: bool, on_fetch: OnFetch) -> Restored:
    """Restore into `folder`, which has to be empty or absent: everything, or the one `path`.

    Raises NightdropError if duplicity gave up; what it had written by then is left.
    """
    begun = time.monotonic()
    below = path.strip("/")
    _require_empty(folder)
    _require_key(origin)
    options = ["--numeric-owner"] if numeric_owner else []
    if below:
        options += ["--path-to-restore", below]
    names = [name for one in origin.chain for name in one.files if "-signatures." not in name]
    with _workplace(folder) as work:
        engine = Engine(work / "duplicity.log")
        _run(engine, origin, names, ["restore", *options, URL, str(folder)], on_fetch)
        if engine.status != 0:
            raise NightdropError(
                engine.failure(f"restoring {origin.host} failed").message,
                f"what was restored up to then is in {folder}",
            )
    unlike = _apply_supplement(origin, folder, os.fsencode(below))
    return Restored(time.monotonic() - begun, engine.warnings, unlike)


def list_files(origin: Origin, on_fetch: OnFetch) -> list[str]:
    """The files in the chain's last set, as duplicity lists them: a line each, with a time and a path."""
    names = [name for one in origin.chain for name in one.files]
    with _workplace(Path(tempfile.gettempdir()) / "x") as work:
        engine = Engine(work / "duplicity.log")
        _run(engine, origin, names, ["list-current-files", URL], on_fetch)
        if engine.status != 0:
            raise engine.failure(f"listing the files of {origin.host} failed")
        text = engine.log.read_bytes().decode("utf-8", "surrogateescape")
    return [line for line in text.split("\n") if _LISTED.match(line)]


def _run(
    engine: Engine,
    origin: Origin,
    names: list[str],
    action: list[str],
    on_fetch: OnFetch,
) -> None:
    """Run duplicity's `action` on the files of these names, in the workplace that its log lies in."""
    work = engine.log.parent
    descriptor = share_key(origin.key)
    try:
        stand_in = work / "gpgsm"
        write_gpgsm(stand_in, descriptor)
        arguments = [
            *action,
            "--verbosity",
            "2",
            "--archive-dir",
            str(work / "archive"),
            "--name",
            "restore",
            "--tempdir",
            str(work),
            "--use-gpgsm",
            "--gpg-binary",
            str(stand_in),
            # No agent: duplicity then opens no passphrase pipe, and the stand-in has its key.
            "--use-agent",
            "--encrypt-key",
            "nightdrop",
            "--num-retries",
            "1",
        ]
        order = work / "order.json"
        Order(str(origin.vault.root.absolute()), origin.host, names, arguments).write(order)

        def hear(event: Event) -> None:
            if event.kind == "fetched":
                on_fetch(event.octets)

        engine.run("nightdrop_restore.launcher", [str(order)], hear, keep_open=[descriptor])
    finally:
        os.close(descriptor)


def _apply_supplement(origin: Origin, folder: Path, below: bytes) -> list[bytes]:
    last = origin.chain[-1]
    if last.key.supplement_name not in last.files or not folder.is_dir():
        return []
    plain = BytesIO()

    def write(octets: bytes) -> None:
        if plain.tell() + len(octets) > _SUPPLEMENT_LIMIT:
            raise EnvelopeError("it is longer than any supplement could be")
        plain.write(octets)

    try:
        with origin.vault.open(origin.host, last.key.supplement_name) as file:
            open_envelope(file.read, write, [origin.key])
        supplement = parse_supplement(plain.getvalue())
    except NightdropError as error:
        raise NightdropError(
            f"the files are restored, but not their hard links and holes: {last.key.supplement_name}: "
            f"{error.message}"
        ) from error
    return apply_supplement(supplement, folder, below)


def _require_key(origin: Origin) -> None:
    """Open the smallest envelope of the chain, so that a wrong key is told before anything is written."""
    name = origin.chain[-1].key.manifest_name
    try:
        with origin.vault.open(origin.host, name) as file:
            open_envelope(file.read, lambda _octets: None, [origin.key])
    except EnvelopeError as error:
        raise EnvelopeError(f"{origin.host}/{name}: {error.message}", error.hint) from error


def _require_empty(folder: Path) -> None:
    if folder.is_symlink() or (folder.exists() and (not folder.is_dir() or any(folder.iterdir()))):
        raise UsageError(
            f"{folder} is there and not empty", "restore into a new folder; nothing is ever overwritten"
        )
    if not folder.parent.is_dir():
        raise UsageError(f"there is no folder {folder.parent}", "make it first")


@contextmanager
def _workplace(near: Path) -> Iterator[Path]:
    """A temporary folder for volumes and metadata, on the disk that is restored to: they are plain."""
    with tempfile.TemporaryDirectory(prefix=".nightdrop-restore-", dir=near.parent) as folder:
        yield Path(folder)
