"""Writing what comes out of a backup below one folder, and nowhere else.

A backup may come from a machine that was in an attacker's hands. So every path is walked from the folder
down, part by part, without ever following a symbolic link; what could harm whoever restores (device
nodes, programs that run with somebody else's rights) needs to be asked for; and nothing that is there
already is replaced unless that was asked for, too.

A file that cannot be written costs nothing else. A full disk ends it all.
"""

import errno
import os
import resource
import stat
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal, Protocol

from nightdrop_restore.items import Index, Item
from nightdrop_restore.writing.filling import LeftError, write_file
from nightdrop_restore.writing.room import NO_ROOM, no_room
from nightdrop_restore.writing.unfinished import FOLDER, is_unfinished, remove_temporary, temporary_name

Overwrite = Literal["ask", "never", "always"]

_PRIVILEGES: Final = stat.S_ISUID | stat.S_ISGID
_BEYOND: Final = "its owner, device or time is a number beyond any that a file can have"
_NO_NAMES: Final = frozenset((b"", b".", b".."))
_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


@dataclass(frozen=True)
class Policy:
    """What may be written: over what is there already (None: nothing is), device nodes, files with
    setuid or setgid bits; and whether things get the owners they had.
    """

    overwrite: Overwrite | None = None
    devices: bool = False
    setuid: bool = False
    owners: bool = field(default_factory=lambda: os.geteuid() == 0)


class Listener(Protocol):
    """Whom a writer tells what it did."""

    def written(self, octets: int) -> None:
        """A thing was written, with so many octets."""

    def left(self, index: Index, reason: str) -> None:
        """A thing was not written."""

    def unlike(self, index: Index, reason: str) -> None:
        """A thing was written, and is not quite what it was."""


@dataclass
class _Folder:
    """A folder that is being filled: its path, a descriptor, and what it gets when it is full."""

    path: Index
    descriptor: int
    item: Item | None = None


class Writer:
    """Writes things below `root`, which may itself be the first of them. Use `close` at the end."""

    def __init__(
        self, root: Path, policy: Policy, listener: Listener, ask: Callable[[Index], bool] | None = None
    ) -> None:
        self._policy = policy
        self._tell = listener
        self._ask = ask
        # The root of all folders has no name.
        self._root = os.fsencode(root.name) or b"."
        # Every folder on the way down is held open, and paths may be deep.
        _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
        base = os.open(root.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        self._open = [_Folder((), base)]

    def write(self, item: Item) -> None:
        """Write one thing, or tell that it was not written. NightdropError when the disk is full."""
        if not _is_plain(item.path):
            self._tell.left(item.path, "its path leads elsewhere")
            return
        try:
            if item.type == "folder":
                self._write_folder(item)
                self._tell.written(0)
            else:
                self._tell.written(self._write_leaf(item))
        except LeftError as error:
            self._tell.left(item.path, str(error))
        except OSError as error:
            if error.errno in NO_ROOM:
                raise no_room(os.strerror(error.errno)) from error
            self._tell.left(item.path, error.strerror or str(error))
        except (OverflowError, ValueError):
            self._tell.left(item.path, _BEYOND)

    def close(self) -> None:
        """Give the folders that are still open what they had; the end."""
        while self._open:
            self._leave()

    def _write_folder(self, item: Item) -> None:
        path = (self._root, *item.path)
        within = self._enter(path[:-1])
        found = None
        try:
            os.mkdir(path[-1], FOLDER, dir_fd=within)
        except FileExistsError:
            found = os.stat(path[-1], dir_fd=within, follow_symlinks=False)
            if not stat.S_ISDIR(found.st_mode):
                self._may_replace(item, found)
                os.unlink(path[-1], dir_fd=within)
                os.mkdir(path[-1], FOLDER, dir_fd=within)
                found = None
        opened = _Folder(path, os.open(path[-1], _FOLDER, dir_fd=within))
        self._open.append(opened)
        if found is None or is_unfinished(found) or self._policy.overwrite in (None, "always"):
            opened.item = item
        if found is not None:
            remove_temporary(opened.descriptor)

    def _write_leaf(self, item: Item) -> int:
        path = (self._root, *item.path)
        if item.type in ("character device", "block device") and not self._policy.devices:
            raise LeftError(f"it is a {item.type}; --devices restores those")
        within = self._enter(path[:-1])
        name = path[-1]
        try:
            return self._make(item, within, name)
        except FileExistsError:
            found = os.stat(name, dir_fd=within, follow_symlinks=False)
            if stat.S_ISDIR(found.st_mode):
                raise LeftError("there is a folder of its name already") from None
        self._may_replace(item, found)
        temporary = temporary_name()
        octets = self._make(item, within, temporary)
        try:
            os.replace(temporary, name, src_dir_fd=within, dst_dir_fd=within)
        except OSError:
            os.unlink(temporary, dir_fd=within)
            raise
        return octets

    def _may_replace(self, item: Item, found: os.stat_result) -> None:
        """LeftError if what is there may not be replaced. What a killed restore left may, unasked."""
        policy = self._policy.overwrite
        if policy == "always" or is_unfinished(found):
            return
        if policy == "ask" and self._ask is not None and self._ask(item.path):
            return
        raise LeftError("it was there already, and was not overwritten")

    def _make(self, item: Item, within: int, name: bytes) -> int:
        """Make it under a name that must be free (FileExistsError), whole or not at all; its octets."""
        if item.type == "file":
            return write_file(item, within, name, lambda descriptor: self._finish(item, descriptor))
        if item.type == "name":
            self._make_name(item, within, name)
            return 0
        if item.type == "link":
            os.symlink(item.target, name, dir_fd=within)
        elif item.type == "pipe":
            os.mkfifo(name, 0o600, dir_fd=within)
        else:
            kind = stat.S_IFCHR if item.type == "character device" else stat.S_IFBLK
            os.mknod(name, kind | 0o600, os.makedev(*item.device), dir_fd=within)
        try:
            if self._policy.owners:
                os.chown(name, item.owner, item.group, dir_fd=within, follow_symlinks=False)
            if item.type != "link":
                _change_mode(name, self._mode(item), within)
            times = (item.mtime, item.mtime)
            os.utime(name, times, dir_fd=within, follow_symlinks=False)
        except BaseException:
            os.unlink(name, dir_fd=within)
            raise
        return 0

    def _make_name(self, item: Item, within: int, name: bytes) -> None:
        """Another name of a file that was written before."""
        *folders, last = item.target.strip(b"/").split(b"/")
        if not _is_plain((*folders, last)):
            raise LeftError("its path leads elsewhere")
        descriptor = os.dup(self._open[0].descriptor)
        try:
            for part in (self._root, *folders):
                deeper = os.open(part, _FOLDER, dir_fd=descriptor)
                os.close(descriptor)
                descriptor = deeper
            os.link(last, name, src_dir_fd=descriptor, dst_dir_fd=within, follow_symlinks=False)
        finally:
            os.close(descriptor)

    def _enter(self, path: Index) -> int:
        """A descriptor of the folder at this path, which is made if need be; others are left."""
        while self._open[-1].path != path[: len(self._open[-1].path)]:
            self._leave()
        for end in range(len(self._open[-1].path), len(path)):
            within = self._open[-1].descriptor
            # What is there may be a link; then it does not open.
            with suppress(FileExistsError):
                os.mkdir(path[end], 0o700, dir_fd=within)
            try:
                deeper = os.open(path[end], _FOLDER, dir_fd=within)
            except OSError as error:
                if error.errno in (errno.ELOOP, errno.ENOTDIR):
                    raise LeftError("what should be its folder is none") from error
                raise
            self._open.append(_Folder(path[: end + 1], deeper))
        return self._open[-1].descriptor

    def _leave(self) -> None:
        folder = self._open.pop()
        try:
            if folder.item is not None:
                self._finish(folder.item, folder.descriptor)
        except OSError as error:
            self._tell.unlike(folder.item.path if folder.item else (), error.strerror or str(error))
        except (OverflowError, ValueError):
            self._tell.unlike(folder.item.path if folder.item else (), _BEYOND)
        finally:
            os.close(folder.descriptor)

    def _finish(self, item: Item, descriptor: int) -> None:
        """Give owner, time and mode. In this order: a new owner takes bits away, and the mode tells that
        all of it is done.
        """
        if self._policy.owners:
            os.fchown(descriptor, item.owner, item.group)
        os.utime(descriptor, (item.mtime, item.mtime))
        os.fchmod(descriptor, self._mode(item))

    def _mode(self, item: Item) -> int:
        """The mode that it gets. On a folder, setgid only says which group new files get."""
        mode = stat.S_IMODE(item.mode)
        if mode & _PRIVILEGES and item.type != "folder" and not self._policy.setuid:
            self._tell.unlike(item.path, "without its setuid or setgid bit; --setuid restores those")
            mode &= ~_PRIVILEGES
        return mode


def _change_mode(name: bytes, mode: int, within: int) -> None:
    """chmod(2) of what we have just made, and is neither a file nor a link.

    In somebody else's folder a link may have taken its place meanwhile, which chmod(2) would follow.
    """
    descriptor = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=within)
    try:
        if stat.S_IFMT(os.fstat(descriptor).st_mode) not in (stat.S_IFIFO, stat.S_IFCHR, stat.S_IFBLK):
            raise OSError(errno.ELOOP, "something else took its place")
        Path(f"/proc/self/fd/{descriptor}").chmod(mode)
    finally:
        os.close(descriptor)


def _is_plain(path: Index) -> bool:
    """Whether all parts are names, and none a way to somewhere else."""
    whole = b"/".join(path)
    return (
        _NO_NAMES.isdisjoint(path) and b"\0" not in whole and whole.count(b"/") == max(0, len(path) - 1)
    )
