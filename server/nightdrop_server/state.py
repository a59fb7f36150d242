"""What has to stand before a mirror can serve or enrol: its state, its certificate, its vault."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nightdrop.enrolment import load_hosts
from nightdrop.errors import VaultError
from nightdrop.mirror import Mirror
from nightdrop_server import store
from nightdrop_server.files import make_folder
from nightdrop_server.tls import ensure_certificate


def prepare(mirror: Mirror) -> None:
    """Make what is missing of a mirror's folders and its certificate; NightdropError if that fails."""
    make_folder(mirror.state)
    make_folder(mirror.hosts)
    with locked(mirror):
        ensure_certificate(mirror)
    _prepare_vault(mirror)


@contextmanager
def locked(mirror: Mirror) -> Iterator[None]:
    """One process at a time, as the mirror's user, changes who is enrolled or makes the certificate."""
    with as_owner(mirror.state):
        descriptor = os.open(mirror.state / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, mode=0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)


@contextmanager
def as_owner(folder: Path) -> Iterator[None]:
    """Have root do what follows as whoever the folder belongs to.

    Whoever broke into the door is that user, and may have put links there: to /etc/shadow, for root to
    copy it into a file of theirs. Of a folder that is not there, nothing can be read.
    """
    try:
        owner = folder.stat()
    except FileNotFoundError:
        yield
        return
    if os.geteuid() != 0 or owner.st_uid == 0:
        yield
        return
    group, groups = os.getegid(), os.getgroups()
    os.setgroups([])
    os.setegid(owner.st_gid)
    os.seteuid(owner.st_uid)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(group)
        os.setgroups(groups)


def _prepare_vault(mirror: Mirror) -> None:
    if not mirror.vault.is_dir():
        if hosts := load_hosts(mirror):
            # An empty folder made here would swallow backups that belong on a disk not mounted yet.
            raise VaultError(
                f"the vault {mirror.vault} is not there, though {hosts[0].name} is enrolled",
                "is its disk mounted? If the vault is to begin anew, make the folder yourself",
            )
        make_folder(mirror.vault)
    store.probe(mirror.vault)
