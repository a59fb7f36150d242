"""Restoring a host's files from a vault: duplicity unpacks a chain, then the supplement is applied."""

import os
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final

from nightdrop.engine.process import Engine
from nightdrop.errors import NightdropError
from nightdrop_restore.addresses import share_places
from nightdrop_restore.asking import Asker
from nightdrop_restore.choosing import Choice
from nightdrop_restore.destination import workplace
from nightdrop_restore.gpgsm import share_key, write_gpgsm
from nightdrop_restore.listing import Listed, listed
from nightdrop_restore.manifests import fetch_manifests, volume_names
from nightdrop_restore.noting import Notes, OnProgress, Restored
from nightdrop_restore.order import URL, Order
from nightdrop_restore.origin import Origin
from nightdrop_restore.owners import Owners
from nightdrop_restore.receiving import written_beside
from nightdrop_restore.room import no_room_in
from nightdrop_restore.supplementing import supplement_tree
from nightdrop_restore.writing import Policy, Writer

_LISTING: Final = "listing"

_NOTHING_THERE: Final = 20
"""duplicity's status where there was nothing to restore."""


@dataclass(frozen=True)
class Writing:
    """Where restored files are written, which of them, what may be, and whom they belong to."""

    folder: Path
    choice: Choice
    policy: Policy = field(default_factory=Policy)
    numeric_owner: bool = False
    owners: Owners = field(default_factory=Owners)


def restore(origin: Origin, writing: Writing, on_progress: OnProgress) -> Restored:
    """Restore what is chosen, to a folder that `require_destination` finds good.

    What cannot be restored costs nothing else. Raises NightdropError if duplicity gave up; what it had
    written by then is left.
    """
    begun, folder = time.monotonic(), writing.folder
    done = Restored(failed_sources=writing.choice.touching(origin.chain[-1].failed_sources))
    below = writing.choice.below
    notes, asker = Notes(done, on_progress, tuple(below.split(b"/")) if below else ()), Asker()
    with workplace(folder) as work:
        # Where it goes is the writer's business; duplicity wants to be told a place that is empty.
        action = ["restore", URL, str(work / "nowhere")]
        writer = partial(Writer, folder.absolute(), writing.policy, notes, asker)
        with written_beside(writer, asker.stop) as written:
            engine = _run(work, origin, action, writing, notes, written.descriptor)
        nothing = engine.status == _NOTHING_THERE
        if nothing and not done.unrestored:
            raise _nothing_of_it(origin)
        if not (nothing or engine.status == 0) or not written.whole:
            raise no_room_in("".join(engine.errors)) or NightdropError(
                engine.failure(f"restoring {origin.host} failed").message,
                f"what was restored up to then is in {folder}",
            )
        done.warnings += engine.warnings
        unlike, trouble = supplement_tree(work, origin, folder, below, done.elsewhere.append)
        for path in unlike:
            notes.unlike(tuple(path.split(b"/")), "its hard links or holes are not what they were")
        done.warnings += [trouble] if trouble else []
    done.seconds = time.monotonic() - begun
    return done


def list_files(origin: Origin, choice: Choice) -> Iterator[Listed]:
    """What is chosen of the chain's last set; NightdropError at the end if nothing is."""
    with workplace(Path(tempfile.gettempdir()) / "x") as work:
        action = ["list-current-files", URL]
        notes = Notes(Restored(), lambda _done: None)
        engine = _run(work, origin, action, Writing(work, Choice()), notes)
        if engine.status != 0:
            # What else duplicity said is gone with the workplace.
            raise NightdropError(engine.failure(f"listing the files of {origin.host} failed").message)
        none = True
        for one in listed(work / _LISTING):
            if choice.wants(one.path):
                none = False
                yield one
    if none:
        raise _nothing_of_it(origin)


def _nothing_of_it(origin: Origin) -> NightdropError:
    return NightdropError(
        f"nothing of what is wanted is in this backup of {origin.host}",
        "`nightdrop restore files` lists what is, at the same --time",
    )


def _run(  # noqa: PLR0917
    work: Path,
    origin: Origin,
    action: list[str],
    writing: Writing,
    notes: Notes,
    out: int | None = None,
) -> Engine:
    """Run duplicity's `action` in the workplace, on the signatures if there is no `out` to send to."""
    engine = Engine(work / "duplicity.log")
    here = fetch_manifests(work, origin, notes.elsewhere)
    names = [*here, *volume_names(here)]
    if out is None:
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
            users=writing.owners.users,
            groups=writing.owners.groups,
            out=out,
            listing=str(work / _LISTING) if out is None else "",
            arguments=_arguments(work, stand_in, action, writing.numeric_owner),
        ).write(order)

        keep_open = [key, places, *([out] if out is not None else [])]
        engine.run("nightdrop_restore.launcher", [str(order)], notes.hear, keep_open)
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
