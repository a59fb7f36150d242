"""Sets that are one stream: of routers, firewalls, and whatever else a shell script sends.

Whole in one envelope, or in volumes, each an envelope of its own; what is in them, one after the other,
is the stream. With a receipt, every file of the set is read and compared with it before anything else.
"""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, takewhile
from pathlib import Path
from typing import BinaryIO

from nightdrop.errors import EnvelopeError, NightdropError, ReceiptError, UsageError, VaultError
from nightdrop.names import SetKey, parse_name
from nightdrop.receipts import MAX_SIZE, Receipt, parse_receipt
from nightdrop.text import harmless
from nightdrop.vault import FolderVault, Vault
from nightdrop_restore.envelope.decompressing import Decompressor, Write
from nightdrop_restore.envelope.opening import open_envelope
from nightdrop_restore.envelope.unwrapping import Key
from nightdrop_restore.vaults.catalog import NEWEST, StoredSet
from nightdrop_restore.vaults.copies import Place, stored_digest
from nightdrop_restore.vaults.judging import judged

OnRead = Callable[[int], object]


@dataclass(frozen=True)
class Stream:
    """One such set: where its files may be had, their names in order, and the SHA-256 (hex) that its
    receipt tells of each, if there is one; octets of all of them; and in words, the receipts of other
    vaults that do not count.
    """

    places: Sequence[Place]
    host: str
    key: SetKey
    names: tuple[str, ...]
    digests: Mapping[str, str]
    size: int
    passed_receipts: tuple[str, ...] = ()

    @property
    def extension(self) -> str:
        """What its name ends with: `zfs`, `tar.gz`."""
        rest = self.names[0].removeprefix(f"{self.key.stem}.").removesuffix(".p7m")
        return rest.partition(".")[2] if rest.startswith("vol") and "." in rest else rest


def streams_at(
    places: Sequence[Place], host: str, sets: Iterable[StoredSet], moment: str
) -> list[Stream]:
    """The newest full up to `moment` that is whole, and every incremental after it, as far as they are
    whole; `sets` are those of one kind. NightdropError if there is none.
    """
    finished = _finished(list(sets))
    until = sorted((one for one in finished if one.key.end <= moment), key=lambda one: one.key.end)
    fulls = (judged(host, one) for one in reversed(until) if one.key.type == "full")
    full = next((one for one in fulls if one.whole), None)
    if full is None:
        raise NightdropError(
            f"{harmless(host)} has no full of this kind that is whole"
            + (f" from {moment} or before" if moment != NEWEST else ""),
            "`nightdrop restore list` shows what there is, and what each set lacks",
        )
    after = (judged(host, one) for one in until if one.key.end > full.key.end and one.key.type == "inc")
    return [
        _stream(
            places,
            host,
            one.key,
            one.files,
            digests=one.digests,
            passed_receipts=one.passed_receipts,
        )
        for one in chain([full], takewhile(lambda one: one.whole, after))
    ]


def _finished(sets: Sequence[StoredSet]) -> list[StoredSet]:
    """Without the sets of runs that were not finished: once a host sends receipts, it does with every
    set, and of volumes alone nobody can tell which was to be the last.
    """
    since = min((one.key.end for one in sets if one.key.receipt_name in one.stored), default=NEWEST)
    return [one for one in sets if one.key.end < since or not one.unfinished]


def streams_of(paths: Sequence[Path]) -> list[Stream]:
    """The sets that these files belong to, oldest first; any one file of a set stands for all of it."""
    found: dict[tuple[Path, SetKey], None] = {}
    for path in paths:
        parsed = parse_name(path.name)
        if parsed is None or parsed.set.kind == "duplicity":
            raise UsageError(
                f"{harmless(str(path))}: this is not the name of a stream in a vault",
                "`nightdrop open` opens any envelope, and `nightdrop restore run` duplicity's sets",
            )
        found[path.absolute().parent, parsed.set] = None
    streams = []
    for folder, key in found:
        # A folder of any name is a host's folder in the vault above it.
        vault = FolderVault(folder.parent)
        files = {file.name: file.size for file in vault.list(folder.name) if _is_of(file.name, key)}
        receipt = _receipt(vault, folder.name, key) if key.receipt_name in files else None
        told = {file.name: file.sha256 for file in receipt.files} if receipt else {}
        streams.append(_stream([Place(str(folder), vault)], folder.name, key, files, digests=told))
    return sorted(streams, key=lambda one: (one.key.kind, one.key.end))


def verified(stream: Stream, on_read: OnRead) -> list[Callable[[], BinaryIO]]:
    """How to open each file of the set, in order: from the first place where it is what its receipt
    says, or, without a receipt, where it is at all. VaultError if there is no such place.
    """
    return [_good_copy(stream, name, on_read) for name in stream.names]


def open_stream(
    stream: Stream, sources: Sequence[Callable[[], BinaryIO]], keys: Sequence[Key], write: Write
) -> None:
    """Write what is in the set, decompressed. EnvelopeError if it is not whole; then what was written is
    worth nothing.
    """
    # Decompressed as one: whoever cuts a compressed stream into volumes cuts it anywhere.
    sink = Decompressor(write)
    for name, source in zip(stream.names, sources, strict=True):
        with source() as file:
            try:
                open_envelope(file.read, sink.update, keys, decompress=False)
            except EnvelopeError as error:
                raise EnvelopeError(f"{name}: {error.message}", error.hint) from error
    sink.finish()


def _stream(
    places: Sequence[Place],
    host: str,
    key: SetKey,
    files: Mapping[str, int],
    *,
    digests: Mapping[str, str],
    passed_receipts: tuple[str, ...] = (),
) -> Stream:
    """The stream in these files; `digests` are those of its receipt, if there is one: it names all."""
    parsed = [name for text in sorted(digests or files) if (name := parse_name(text)) is not None]
    parts = sorted(
        (name for name in parsed if name.part in ("volume", "stream")), key=lambda name: name.volume or 0
    )
    if not digests:
        # A stream in one piece is no part of one in volumes.
        parts = [name for name in parts if name.volume] or parts[:1]
        if parts and parts[0].volume and parts[-1].volume != len(parts):
            raise VaultError(
                f"{key.stem}: a volume is missing", "without one, what follows cannot be used"
            )
    if not parts:
        raise VaultError(f"{key.stem}: there is no stream and no volume of it")
    names = tuple(name.name for name in parts)
    size = sum(files.get(name, 0) for name in names)
    return Stream(places, host, key, names, digests, size, passed_receipts)


def _is_of(name: str, key: SetKey) -> bool:
    parsed = parse_name(name)
    return parsed is not None and parsed.set == key


def _receipt(vault: Vault, folder: str, key: SetKey) -> Receipt:
    """The receipt that lies beside a file; whose it is, it says itself: the folder may be any."""
    with vault.open(folder, key.receipt_name) as file:
        octets = file.read(MAX_SIZE + 1)
    try:
        host = str(json.loads(octets)["host"])
    except (ValueError, KeyError, TypeError, RecursionError):
        host = folder
    try:
        return parse_receipt(octets, key, host)
    except ReceiptError as error:
        raise ReceiptError(
            f"{key.receipt_name}: {error.message}",
            "move it away to open the set without it; then nobody can say whether the set is whole",
        ) from error


def _good_copy(stream: Stream, name: str, on_read: OnRead) -> Callable[[], BinaryIO]:
    told = stream.digests.get(name)
    wrong = []
    for place in stream.places:
        try:
            if place.vault.stat(stream.host, name) is None:
                wrong.append(f"{place.name}: it is not there")
            elif told is None or stored_digest(place.vault, stream.host, name, on_read) == told:
                return lambda vault=place.vault: vault.open(stream.host, name)  # type: ignore[misc]
            else:
                wrong.append(f"{place.name}: it is not what its receipt says")
        except (VaultError, OSError) as error:
            wrong.append(f"{place.name}: {error}")
    raise VaultError(f"{name}: {'; '.join(wrong)}", "name another vault, too, or an older set (--time)")
