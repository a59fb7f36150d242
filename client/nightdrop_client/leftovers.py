"""Clearing what an interrupted run left locally, before duplicity sees it.

duplicity would restart an interrupted set, and its restart loses data in two ways: a file changed
between the kill and the restart gets a new signature over old data, and an incremental killed while
its manifest was being renamed is replaced by an empty one. So nothing is ever restarted: what the drop
log does not know as finished is forgotten, and the run makes a new set under a new name.
"""

import shutil
from hashlib import file_digest
from pathlib import Path

from nightdrop.files import sync
from nightdrop.names import SetKey, parse_name, parse_time
from nightdrop.receipts import ReceiptFile
from nightdrop.sets import chained
from nightdrop_client.droplog import DropLog
from nightdrop_client.rotation import recipients_path
from nightdrop_client.state import State


def clear(state: State, log: DropLog, now: float) -> dict[SetKey, str]:
    """Make local metadata and drop log agree; the finished sets forgotten for that, and why.

    A set from the future (`now` is in epoch seconds) is forgotten, too: either clock is wrong, and
    duplicity cannot build on a set that is newer than the one it makes.
    """
    forgotten = {}
    for done in log.sets():
        if flaw := _flaw(state, log, done.key):
            forgotten[done.key] = flaw
        elif parse_time(done.key.end).timestamp() > now:
            forgotten[done.key] = "its time has not come yet by this machine's clock"
    for key in forgotten:
        log.forget(key)
    for key in _cut_off(state, log):
        log.forget(key)
    _empty(state.scratch)
    finished = {done.key for done in log.sets()}
    names = {name for key in finished for name in metadata(key)}
    for entry in state.archive.iterdir():
        if entry.name not in names:
            _remove(entry)
    # What was being written there, and what nobody will send any more because its set is forgotten.
    for entry in state.outbox.iterdir():
        parsed = parse_name(entry.name)
        if parsed is None or parsed.set not in finished:
            _remove(entry)
    return forgotten


def metadata(key: SetKey) -> tuple[str, str]:
    """The local names of a set's manifest and signatures."""
    return key.manifest_name.removesuffix(".p7m"), f"{key.signatures_name.removesuffix('.p7m')}.gz"


def keep_metadata(state: State, key: SetKey) -> list[ReceiptFile]:
    """Have what is needed here to build on a set survive a power cut, as it does not by itself; and these
    files as they are now, by which damage will show.
    """
    paths = _needed(state, key)
    for path in paths:
        sync(path)
    sync(state.archive)
    return [_as_it_is(path) for path in paths]


def _cut_off(state: State, log: DropLog) -> list[SetKey]:
    """Sets that nothing will build on because one that they build on is forgotten: duplicity would only
    warn of them. But not those that a mirror may still get the receipt of.
    """
    keys = [done.key for done in log.sets()]
    owed = [
        key for key in keys if log.receipt_of(key) is None or (state.outbox / key.receipt_name).exists()
    ]
    return list(set(keys) - set(chained(keys)) - set(owed))


def _flaw(state: State, log: DropLog, key: SetKey) -> str:
    """What is wrong with what is needed here to build on a set; "" if nothing is."""
    noted = {file.name: file for file in log.kept(key)}
    # Whom a full is sealed to was not kept by the first versions: then it is to whom the bundle says.
    needed = _needed(state, key)
    paths = [path for path in needed if path.name in noted or path.parent != state.recipients]
    if not all(path.is_file() for path in paths):
        return "its local metadata is gone"
    if any(_as_it_is(path) != noted[path.name] for path in paths if path.name in noted):
        return "its local metadata is damaged"
    waiting = [path for path in state.outbox.iterdir() if _is_of(path, key)]
    if any(not _fits(path, log, key, noted.get(path.name)) for path in waiting):
        return "its receipt, or what goes before it, was damaged before every mirror had it"
    return ""


def _is_of(path: Path, key: SetKey) -> bool:
    parsed = parse_name(path.name)
    return parsed is not None and parsed.set == key


def _fits(path: Path, log: DropLog, key: SetKey, noted: ReceiptFile | None) -> bool:
    """Whether a file that waits to be sent is as it was written down, if it was by now."""
    known = noted or log.files(key).get(path.name)
    written = log.receipt_of(key) if path.name == key.receipt_name else known.sha256 if known else None
    return written in (None, _as_it_is(path).sha256)


def _needed(state: State, key: SetKey) -> list[Path]:
    """Manifest and signatures; and of a full, whom it and what builds on it are sealed to."""
    paths = [state.archive / name for name in metadata(key)]
    return [*paths, recipients_path(state, key.end)] if key.type == "full" else paths


def _as_it_is(path: Path) -> ReceiptFile:
    with path.open("rb") as file:
        return ReceiptFile(path.name, path.stat().st_size, file_digest(file, "sha256").hexdigest())


def _empty(folder: Path) -> None:
    for entry in folder.iterdir():
        _remove(entry)


def _remove(entry: Path) -> None:
    if entry.is_dir() and not entry.is_symlink():
        shutil.rmtree(entry)
    else:
        entry.unlink()
