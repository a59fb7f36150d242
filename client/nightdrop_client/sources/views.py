"""Putting snapshots where the folders are that they were taken of: for this process alone.

In a mount namespace of its own (mount_namespaces(7)) duplicity finds a snapshot under the folder's usual
path. So what is stored has the usual paths, an incremental builds on a full that was made without, and
exclusions count as written; everybody else goes on seeing the folder as it is.
"""

import ctypes
import os
from collections.abc import Sequence
from typing import Final

from nightdrop_client.mounts import mount_points
from nightdrop_client.sources.ready import View

_CLONE_NEWNS: Final = 0x20000
_MS_BIND: Final = 0x1000
_MS_REC: Final = 0x4000
_MS_PRIVATE: Final = 0x40000
_MNT_DETACH: Final = 0x2

_libc = ctypes.CDLL(None, use_errno=True)


def show(views: Sequence[View], live: str) -> list[str]:
    """Put the snapshots in place, and at their old places in them what is mounted below these folders and
    the folder `live`, which goes on being written. OSError if it cannot be.

    Returns the words to put before a command that is to see the folders as everybody else does. To be
    called while there is one thread: the namespace would be that thread's only.
    """
    before, root = os.open("/proc/self/ns/mnt", os.O_RDONLY), os.open("/", os.O_PATH)
    _check(_libc.unshare(_CLONE_NEWNS))
    _mount("none", "/", _MS_REC | _MS_PRIVATE)
    # What is mounted over another thing is reached no more by its path, but still by a descriptor.
    snapshots = {view.folder: os.open(view.snapshot, os.O_PATH) for view in views}
    for view in sorted(views, key=lambda one: one.folder):
        below = sorted({mount for mount in [*mount_points(), live] if _is_below(mount, view.folder)})
        # What something else was mounted over is seen by nobody.
        held = {path: os.open(path, os.O_PATH) for path in below if os.path.lexists(path)}
        # Nothing can be mounted over /, so its snapshot is furnished where it is, and moved into.
        place = view.snapshot if view.folder == "/" else view.folder
        _mount_held(snapshots[view.folder], place, _MS_BIND)
        for path, descriptor in held.items():
            _mount_held(
                descriptor, place + path.removeprefix(view.folder.rstrip("/")), _MS_BIND | _MS_REC
            )
        if view.folder == "/":
            _move_into(place)
    ours = f"/proc/{os.getpid()}/fd"
    # The root, too: who enters a namespace finds itself in its /, which in a chroot is not ours.
    return ["nsenter", f"--mount={ours}/{before}", f"--root={ours}/{root}", "--"]


def _is_below(path: str, folder: str) -> bool:
    return path != folder and path.startswith(folder.rstrip("/") + "/")


def _move_into(root: str) -> None:
    """Make what is mounted there this process's / (pivot_root(2))."""
    os.chdir(root)
    _check(_libc.pivot_root(b".", b"."))
    # The old one lies upon the new one now.
    _check(_libc.umount2(b".", _MNT_DETACH))
    os.chdir("/")


def _mount_held(descriptor: int, target: str, flags: int) -> None:
    _mount(f"/proc/self/fd/{descriptor}", target, flags)
    os.close(descriptor)


def _mount(source: str, target: str, flags: int) -> None:
    _check(_libc.mount(os.fsencode(source), os.fsencode(target), None, flags, None))


def _check(result: int) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
