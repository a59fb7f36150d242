"""What has to stand before a mirror can serve or enrol: its state, its certificate, its vault."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager

from nightdrop.enrolment import load_hosts
from nightdrop.errors import VaultError
from nightdrop.mirror import Mirror
from nightdrop.owners import as_owner
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
