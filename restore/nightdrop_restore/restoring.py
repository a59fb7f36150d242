"""Restoring a host's files from a vault: duplicity unpacks a chain, then the supplement is applied."""

import os
import re
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from io import BytesIO
from pathlib import Path

from nightdrop.engine.events import Event
from nightdrop.engine.process import Engine
from nightdrop.errors import EnvelopeError, NightdropError, UsageError, VaultError
from nightdrop.supplement import parse_supplement
from nightdrop_restore.catalog import VaultSet
from nightdrop_restore.choosing import Choice
from nightdrop_restore.copies import Copies, Place
from nightdrop_restore.gpgsm import share_key, write_gpgsm
from nightdrop_restore.launcher import URL, Order
from nightdrop_restore.opening import open_envelope
from nightdrop_restore.relinking import apply_supplement
from nightdrop_restore.unwrapping import Key

OnFetch = Callable[[int], object]
"""Told of each file taken from the vault: its size in octets."""

_VOLUME = re.compile(rb"^Volume (\d{1,7}):", re.MULTILINE)
_LONGEST = 256 * 1024 * 1024
_LISTED = re.compile(r"\w{3} \w{3} [ \d]\d \d\d:\d\d:\d\d \d{4} ", re.ASCII)


@dataclass
class Restored:
    """How a restore went: seconds it took, what duplicity warned of, the paths of hard links or sparse
    files that could not be made what they were; the paths that could not be restored, with the
    reasons; and what was taken from another vault than the first, in words.
    """

    seconds: float = 0.0
    warnings: list[str] = field(default_factory=list)
    unlike: list[bytes] = field(default_factory=list)
    unrestored: dict[str, str] = field(default_factory=dict)
    elsewhere: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Origin:
    """Where to restore from: the vaults, a host in them, the chain, full first, the key; and the sets
    newer than the chain that cannot be restored.
    """

    places: Sequence[Place]
    host: str
    chain: Sequence[VaultSet]
    key: Key
    passed_over: Sequence[VaultSet] = ()

    def copies(self, on_other: Callable[[str], object]) -> Copies:
        """The files of the chain."""
        return Copies(self.places, self.host, self.digests(), on_other)

    def digests(self) -> dict[str, str]:
        """The SHA-256 of the chain's files, as far as there are receipts."""
        receipts = [one.receipt for one in self.chain if one.receipt is not None]
        return {file.name: file.sha256 for receipt in receipts for file in receipt.files}


def restore(
    origin: Origin, folder: Path, choice: Choice, numeric_owner: bool, on_fetch: OnFetch
) -> Restored:
    """Restore what is chosen into `folder`, which has to be empty or absent.

    What cannot be restored costs nothing else. Raises NightdropError if duplicity gave up; what it had
    written by then is left.
    """
    begun = time.monotonic()
    _require_empty(folder)
    options = ["--numeric-owner"] if numeric_owner else []
    done = Restored()
    with _workplace(folder) as work:
        engine = _run(
            work, origin, ["restore", *options, URL, str(folder)], choice, done=done, on_fetch=on_fetch
        )
        if engine.status != 0:
            raise NightdropError(
                engine.failure(f"restoring {origin.host} failed").message,
                f"what was restored up to then is in {folder}",
            )
        done.warnings += engine.warnings
        _apply_supplement(work, origin, folder, choice.below, done)
    done.seconds = time.monotonic() - begun
    return done


def list_files(origin: Origin, choice: Choice, on_fetch: OnFetch) -> list[str]:
    """What is chosen of the chain's last set, as duplicity lists it: lines with a time and a path."""
    with _workplace(Path(tempfile.gettempdir()) / "x") as work:
        engine = _run(
            work, origin, ["list-current-files", URL], Choice(), done=Restored(), on_fetch=on_fetch
        )
        if engine.status != 0:
            raise engine.failure(f"listing the files of {origin.host} failed")
        text = engine.log.read_bytes().decode("utf-8", "surrogateescape")
    listed = ((line, _LISTED.match(line)) for line in text.split("\n"))
    return [
        line
        for line, found in listed
        if found and choice.wants(tuple(os.fsencode(line[found.end() :]).split(b"/")))
    ]


def _run(
    work: Path, origin: Origin, action: list[str], choice: Choice, *, done: Restored, on_fetch: OnFetch
) -> Engine:
    """Run duplicity's `action` in the workplace; to list files, on the signatures, too."""
    engine = Engine(work / "duplicity.log")
    here = _manifests(work, origin, done)
    names = [*here, *_volumes(here)]
    if action[0] != "restore":
        names += [one.key.signatures_name for one in origin.chain]
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
        Order(
            vaults=[place.name for place in origin.places],
            host=origin.host,
            chain=[(k.kind, k.end, k.type, k.start) for k in (one.key for one in origin.chain)],
            names=names,
            digests=origin.digests(),
            here={name: str(paths.sealed) for name, paths in here.items()},
            paths=choice.paths,
            find=choice.find,
            strip=choice.strip,
            arguments=arguments,
        ).write(order)

        def hear(event: Event) -> None:
            if event.kind == "fetched":
                on_fetch(event.octets)
            elif event.kind == "elsewhere":
                done.elsewhere.append(event.text)
            elif event.kind == "unrestored":
                done.unrestored[event.text] = event.reason

        engine.run("nightdrop_restore.launcher", [str(order)], hear, keep_open=[descriptor])
    finally:
        os.close(descriptor)
    return engine


@dataclass(frozen=True)
class _Manifest:
    """A manifest that was fetched and opens: where its envelope is, and what is in it."""

    sealed: Path
    plain: bytes


def _manifests(work: Path, origin: Origin, done: Restored) -> dict[str, _Manifest]:
    """Fetch and open the manifest of each set, so that a wrong key, and a chain that cannot be restored,
    is told before anything is written.
    """
    copies = origin.copies(done.elsewhere.append)
    found = {}
    # The last first: if the key is wrong, there is no need to fetch them all.
    for one in reversed(origin.chain):
        name = one.key.manifest_name
        sealed = work / name
        accept = partial(_unusable, origin, copies, name) if len(origin.places) > 1 else None
        try:
            copies.fetch(name, sealed, accept)
            found[name] = _Manifest(sealed, _opened(origin.key, sealed))
        except VaultError as error:
            hint = "another vault may have it whole; or restore an older state with --time"
            raise VaultError(error.message, hint) from error
        except EnvelopeError as error:
            raise EnvelopeError(f"{origin.host}/{name}: {error.message}", error.hint) from error
    return found


def _unusable(origin: Origin, copies: Copies, name: str, path: Path) -> str:
    try:
        _opened(origin.key, path)
    except EnvelopeError as error:
        return error.message
    return copies.unlike_receipt(name, path)


def _volumes(manifests: dict[str, _Manifest]) -> list[str]:
    """The names of all volumes that there should be, whether they are there or not."""
    return [
        f"{name.removesuffix('.manifest.p7m')}.vol{int(number)}.difftar.p7m"
        for name, manifest in manifests.items()
        for number in _VOLUME.findall(manifest.plain)
    ]


def _opened(key: Key, path: Path) -> bytes:
    """What is in an envelope that is kept in memory."""
    plain = BytesIO()

    def write(octets: bytes) -> None:
        if plain.tell() + len(octets) > _LONGEST:
            raise EnvelopeError("it is longer than it could be")
        plain.write(octets)

    with path.open("rb") as file:
        open_envelope(file.read, write, [key])
    return plain.getvalue()


def _apply_supplement(work: Path, origin: Origin, folder: Path, below: bytes, done: Restored) -> None:
    last = origin.chain[-1]
    name = last.key.supplement_name
    if name not in last.files or not folder.is_dir():
        return
    copies = origin.copies(done.elsewhere.append)
    try:
        copies.fetch(name, work / name, partial(_unusable, origin, copies, name))
        supplement = parse_supplement(_opened(origin.key, work / name))
    except NightdropError as error:
        done.warnings.append(f"hard links and holes are not what they were: {error.message}")
        return
    done.unlike += apply_supplement(supplement, folder, below)


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
