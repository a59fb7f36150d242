"""Restoring a host's files from a vault: duplicity unpacks a chain, then the supplement is applied."""

import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Final

from nightdrop.engine.process import Engine
from nightdrop.errors import NightdropError
from nightdrop_restore.choosing import Choice
from nightdrop_restore.engine.gpgsm import key_as_text
from nightdrop_restore.engine.listing import Listed, listed
from nightdrop_restore.engine.order import URL, Order
from nightdrop_restore.manifests import fetch_manifests, volume_names
from nightdrop_restore.noting import Notes, OnProgress, Restored
from nightdrop_restore.origin import OnText, Origin
from nightdrop_restore.owners import Owners
from nightdrop_restore.reasons import Reasons
from nightdrop_restore.supplementing import supplement_tree
from nightdrop_restore.vaults.addresses import facts_of
from nightdrop_restore.writing.asking import Asker
from nightdrop_restore.writing.receiving import written_beside
from nightdrop_restore.writing.room import no_room_in
from nightdrop_restore.writing.workplaces import workplace
from nightdrop_restore.writing.writer import Policy, Writer

_LAUNCHER: Final = "nightdrop_restore.engine.launcher"

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
    folder, below = writing.folder, writing.choice.below
    with workplace(folder) as work:
        done = Restored(
            unlike=Reasons(work),
            unrestored=Reasons(work),
            failed_sources=writing.choice.touching(origin.chain[-1].failed_sources),
        )
        notes, asker = Notes(done, on_progress, tuple(below.split(b"/")) if below else ()), Asker()
        engine = Engine(work / "duplicity.log")
        writer = partial(Writer, folder.absolute(), writing.policy, notes, asker)
        with (
            written_beside(writer, asker.stop) as written,
            engine.started(_LAUNCHER, keep_open=[written.descriptor]),
        ):
            # While it gets ready, the key is unlocked; from then on, nobody has to be waited for.
            key = key_as_text(origin.key)
            begun = time.monotonic()
            # Where it goes is the writer's business; duplicity wants to be told a place that is empty.
            action = ["restore", URL, str(work / "nowhere")]
            numeric = ["--numeric-owner"] if writing.numeric_owner else []
            order = replace(
                _order(work, origin, key, [*action, *numeric], notes.elsewhere),
                paths=writing.choice.paths,
                find=writing.choice.find,
                strip=writing.choice.strip,
                users=writing.owners.users,
                groups=writing.owners.groups,
                out=written.descriptor,
            )
            engine.proceed(order.to_bytes(), notes.hear)
        nothing = engine.status == _NOTHING_THERE
        if nothing and not done.unrestored:
            raise _nothing_of_it(origin)
        if not (nothing or engine.status == 0) or not written.whole:
            raise no_room_in("".join(engine.errors)) or NightdropError(
                engine.failure(f"restoring {origin.host} failed").message,
                f"what was restored up to then is in {folder}",
            )
        done.warnings += engine.warnings
        if trouble := supplement_tree(work, origin, folder, below, notes):
            done.warnings.append(trouble)
    done.seconds = time.monotonic() - begun
    return done


def list_files(origin: Origin, choice: Choice) -> Iterator[Listed]:
    """What is chosen of the chain's last set; NightdropError at the end if nothing is."""
    with workplace(Path(tempfile.gettempdir()) / "x") as work:
        engine, listing = Engine(work / "duplicity.log"), work / "listing"
        notes = Notes(Restored(), lambda _done: None)
        with engine.started(_LAUNCHER):
            order = _order(
                work, origin, key_as_text(origin.key), ["list-current-files", URL], notes.elsewhere
            )
            signatures = [one.key.signatures_name for one in origin.chain]
            order = replace(order, names=[*order.names, *signatures], listing=str(listing))
            engine.proceed(order.to_bytes(), notes.hear)
        if engine.status != 0:
            # What else duplicity said is gone with the workplace.
            raise NightdropError(engine.failure(f"listing the files of {origin.host} failed").message)
        none = True
        for one in listed(listing):
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


def _order(work: Path, origin: Origin, key: str, action: list[str], on_other: OnText) -> Order:
    """The order to do what `action` tells duplicity in the workplace, with the manifests fetched."""
    here = fetch_manifests(work, origin, on_other)
    stand_in = str(work / "gpgsm")
    return Order(
        vaults=facts_of(origin.places),
        key=key,
        host=origin.host,
        chain=[(k.kind, k.end, k.type, k.start) for k in (one.key for one in origin.chain)],
        names=[*here, *volume_names(here)],
        digests=origin.digests(),
        here={name: str(paths.sealed) for name, paths in here.items()},
        arguments=[*action, *_settings(work, stand_in)],
        stand_in=stand_in,
    )


def _settings(work: Path, stand_in: str) -> list[str]:
    """What duplicity is told whatever it does."""
    return [
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
        stand_in,
        # No agent: duplicity then opens no passphrase pipe, and the stand-in has its key.
        "--use-agent",
        "--encrypt-key",
        "nightdrop",
        "--num-retries",
        "1",
    ]
