"""Restoring a host's files from a vault: duplicity unpacks a chain, then the supplement is applied."""

import os
import re
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from nightdrop.engine.events import Event
from nightdrop.engine.process import Engine
from nightdrop.errors import NightdropError, UsageError
from nightdrop_restore.addresses import share_places
from nightdrop_restore.choosing import Choice
from nightdrop_restore.gpgsm import share_key, write_gpgsm
from nightdrop_restore.launcher import URL, Order
from nightdrop_restore.manifests import fetch_manifests, volume_names
from nightdrop_restore.origin import Origin
from nightdrop_restore.owners import Owners
from nightdrop_restore.supplementing import supplement_tree
from nightdrop_restore.writing import Policy

_LISTED: Final = re.compile(r"\w{3} \w{3} [ \d]\d \d\d:\d\d:\d\d \d{4} ", re.ASCII)


@dataclass
class Restored:
    """How a restore goes, and in the end went: `files` and `octets` written, `read` octets from the
    vault in `seconds`; what duplicity warned of; the paths that are not what they were and those
    that could not be restored, with the reasons; the places, of those chosen, whose sources failed when
    the backup was made; and what another vault than the first gave, in words.
    """

    files: int = 0
    octets: int = 0
    read: int = 0
    seconds: float = 0.0
    warnings: list[str] = field(default_factory=list)
    unlike: dict[str, str] = field(default_factory=dict)
    unrestored: dict[str, str] = field(default_factory=dict)
    failed_sources: list[str] = field(default_factory=list)
    elsewhere: list[str] = field(default_factory=list)


OnProgress = Callable[[Restored], object]


@dataclass(frozen=True)
class Writing:
    """Where restored files are written, which of them, what may be, and whom they belong to."""

    folder: Path
    choice: Choice
    policy: Policy = field(default_factory=Policy)
    numeric_owner: bool = False
    owners: Owners = field(default_factory=Owners)


def restore(origin: Origin, writing: Writing, on_progress: OnProgress) -> Restored:
    """Restore what is chosen. The folder has to be empty or absent unless the policy says what happens to
    what is there.

    What cannot be restored costs nothing else. Raises NightdropError if duplicity gave up; what it had
    written by then is left.
    """
    begun, folder = time.monotonic(), writing.folder
    _require_room(folder, writing.policy)
    done = Restored(failed_sources=writing.choice.touching(origin.chain[-1].failed_sources))
    with workplace(folder) as work:
        # Where it goes is the writer's business; duplicity wants to be told a place that is empty.
        action = ["restore", URL, str(work / "nowhere")]
        engine = _run(work, origin, action, writing, done=done, on_progress=on_progress)
        if engine.status != 0:
            raise NightdropError(
                engine.failure(f"restoring {origin.host} failed").message,
                f"what was restored up to then is in {folder}",
            )
        done.warnings += engine.warnings
        unlike, trouble = supplement_tree(
            work, origin, folder, writing.choice.below, done.elsewhere.append
        )
        done.unlike |= {
            os.fsdecode(path): "its hard links or holes are not what they were" for path in unlike
        }
        done.warnings += [trouble] if trouble else []
    done.seconds = time.monotonic() - begun
    return done


def list_files(origin: Origin, choice: Choice) -> list[str]:
    """What is chosen of the chain's last set, as duplicity lists it: lines with a time and a path."""
    with workplace(Path(tempfile.gettempdir()) / "x") as work:
        action = ["list-current-files", URL]
        writing = Writing(work, Choice())
        engine = _run(work, origin, action, writing, done=Restored(), on_progress=lambda _done: None)
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
    work: Path,
    origin: Origin,
    action: list[str],
    writing: Writing,
    *,
    done: Restored,
    on_progress: OnProgress,
) -> Engine:
    """Run duplicity's `action` in the workplace; to list files, on the signatures, too."""
    engine = Engine(work / "duplicity.log")
    here = fetch_manifests(work, origin, done.elsewhere.append)
    names = [*here, *volume_names(here)]
    if action[0] != "restore":
        names += [one.key.signatures_name for one in origin.chain]
    key, places = share_key(origin.key), share_places(origin.places)
    try:
        stand_in = work / "gpgsm"
        write_gpgsm(stand_in, key)
        order = work / "order.json"
        Order(
            vaults=places,
            key=key,
            host=origin.host,
            chain=[(k.kind, k.end, k.type, k.start) for k in (one.key for one in origin.chain)],
            names=names,
            digests=origin.digests(),
            here={name: str(paths.sealed) for name, paths in here.items()},
            paths=writing.choice.paths,
            find=writing.choice.find,
            strip=writing.choice.strip,
            to=str(writing.folder.absolute()),
            overwrite=writing.policy.overwrite,
            devices=writing.policy.devices,
            setuid=writing.policy.setuid,
            users=writing.owners.users,
            groups=writing.owners.groups,
            arguments=_arguments(work, stand_in, action, writing.numeric_owner),
        ).write(order)

        def hear(event: Event) -> None:
            _note(event, done)
            on_progress(done)

        engine.run("nightdrop_restore.launcher", [str(order)], hear, keep_open=[key, places])
    finally:
        os.close(key)
        os.close(places)
    return engine


def _arguments(work: Path, stand_in: Path, action: list[str], numeric_owner: bool) -> list[str]:
    """The arguments that duplicity is given."""
    return [
        *action,
        *(["--numeric-owner"] if numeric_owner else []),
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


def _note(event: Event, done: Restored) -> None:
    if event.kind == "fetched":
        done.read += event.octets
    elif event.kind == "written":
        done.files += event.files
        done.octets += event.octets
    elif event.kind == "elsewhere":
        done.elsewhere.append(event.text)
    elif event.kind == "unrestored":
        done.unrestored[event.text] = event.reason
    elif event.kind == "unlike":
        done.unlike[event.text] = event.reason


def _require_room(folder: Path, policy: Policy) -> None:
    there = folder.is_symlink() or folder.exists()
    if there and policy.overwrite is None and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(
            f"{folder} is there and not empty",
            "restore into a new folder, or say with --overwrite what happens to what is there",
        )
    if folder.is_symlink():
        raise UsageError(f"{folder} is a symbolic link", "name the folder that it leads to")
    if not folder.parent.is_dir():
        raise UsageError(f"there is no folder {folder.parent}", "make it first")


@contextmanager
def workplace(near: Path) -> Iterator[Path]:
    """A temporary folder for volumes and metadata, on the disk that is restored to: they are plain."""
    with tempfile.TemporaryDirectory(prefix=".nightdrop-restore-", dir=near.parent) as folder:
        yield Path(folder)
