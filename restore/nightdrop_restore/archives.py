"""Unpacking a tar that comes out of an envelope: below one folder, through no link, as a restore does."""

import os
import tarfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from threading import Thread
from typing import BinaryIO, Final, cast

from nightdrop.errors import NightdropError
from nightdrop_restore.envelope.decompressing import Write
from nightdrop_restore.items import Content, Item, Type
from nightdrop_restore.writing.writer import Listener, Policy, Writer

EXTENSIONS: Final = ("tar", "tgz", "txz", "tbz2", "tar.gz", "tar.xz", "tar.bz2", "tar.zst")
"""What the names of such streams end with; what is not compressed by these may be by zstd outside."""

_PIPE_SIZE: Final = 1024 * 1024
_TYPES: Final[dict[bytes, Type]] = {
    tarfile.REGTYPE: "file",
    tarfile.AREGTYPE: "file",
    tarfile.CONTTYPE: "file",
    tarfile.GNUTYPE_SPARSE: "file",
    tarfile.DIRTYPE: "folder",
    tarfile.SYMTYPE: "link",
    tarfile.LNKTYPE: "name",
    tarfile.FIFOTYPE: "pipe",
    tarfile.CHRTYPE: "character device",
    tarfile.BLKTYPE: "block device",
}


def unpack(produce: Callable[[Write], None], root: Path, policy: Policy, listener: Listener) -> None:
    """Unpack the tar that `produce` writes, compressed or not, as the folder `root`.

    Raises what `produce` raises, and NightdropError if what it wrote is no tar. What was unpacked by
    then is there, and worth nothing.
    """
    reading, writing = os.pipe()
    errors: list[BaseException] = []

    def write(octets: bytes) -> None:
        view = memoryview(octets)
        while view:
            view = view[os.write(writing, view) :]

    def run() -> None:
        try:
            produce(write)
        except BrokenPipeError:
            pass  # nobody reads any more: what is wrong is said on the other side
        except BaseException as error:  # noqa: BLE001
            errors.append(error)
        finally:
            os.close(writing)

    thread = Thread(target=run, daemon=True)
    thread.start()
    failure: BaseException | None = None
    with os.fdopen(reading, "rb", buffering=_PIPE_SIZE) as source:
        try:
            _unpack(source, root, policy, listener)
            while source.read(_PIPE_SIZE):
                pass
        except (tarfile.TarError, EOFError, OSError, ValueError) as error:
            failure = error
    thread.join()
    if errors:
        raise errors[0]
    if failure is not None:
        raise NightdropError(
            f"what is in it is no tar that can be unpacked: {failure}", "--raw writes it as it is"
        ) from failure


def _unpack(source: BinaryIO, root: Path, policy: Policy, listener: Listener) -> None:
    folders: dict[tuple[bytes, ...], Item] = {}
    writer = Writer(root, policy, listener)
    try:
        with tarfile.open(
            fileobj=source, mode="r|*", encoding="utf-8", errors="surrogateescape", bufsize=_PIPE_SIZE
        ) as archive:
            for member in archive:
                # It keeps every member it has seen, and there may be millions.
                archive.members.clear()  # type: ignore[attr-defined]
                item = _item(archive, member)
                if item is None:
                    name = tuple(os.fsencode(member.name).split(b"/"))
                    listener.left(name, "it is of a kind that is not known here")
                elif item.type == "folder":
                    # What is in it may come later, in any order.
                    folders[item.path] = item
                    writer.write(item._replace(mode=0o700))
                else:
                    writer.write(item)
        for _index, item in sorted(folders.items()):
            writer.write(item)
    finally:
        writer.close()
    with suppress(FileExistsError):
        root.mkdir(0o700)


def _item(archive: tarfile.TarFile, member: tarfile.TarInfo) -> Item | None:
    """What tar calls a member, as a thing to write; None for what is known to nobody here."""
    if member.type not in _TYPES:
        return None
    kind = _TYPES[member.type]
    # As tar does: a name that begins with a slash is meant relative to where it is unpacked.
    parts = [part for part in os.fsencode(member.name).split(b"/") if part not in (b"", b".")]
    return Item(
        tuple(parts),
        kind,
        member.mode,
        member.uid,
        member.gid,
        max(0.0, member.mtime),
        target=_target(member) if kind in ("link", "name") else b"",
        device=(member.devmajor, member.devminor),
        content=(lambda: cast(Content, archive.extractfile(member))) if kind == "file" else None,
    )


def _target(member: tarfile.TarInfo) -> bytes:
    target = os.fsencode(member.linkname)
    return target if member.issym() else target.removeprefix(b"./")
