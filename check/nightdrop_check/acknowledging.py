"""Acknowledging that sets are lost: which of a mirror's are gone now, and the record of it."""

from collections.abc import Collection, Iterator
from contextlib import closing
from pathlib import Path

from nightdrop.enrolment import load_hosts
from nightdrop.errors import NightdropError
from nightdrop.ledger import Ledger
from nightdrop.mirror import Mirror
from nightdrop.text import harmless
from nightdrop.vault import FolderVault
from nightdrop_check.chains import all_gone
from nightdrop_check.looking import Book, look_at_host
from nightdrop_check.losses import Loss, LostSet, load_losses, record
from nightdrop_check.settled import Remembered
from nightdrop_check.shelf import Shelf


def acknowledge(
    mirror: Mirror, hosts: Collection[str], *, by: str, because: str, now: float
) -> tuple[Path, Loss]:
    """Write down that what these hosts (all, where none is named) have lost is known to be lost; where
    that was written, and what. NightdropError if nothing is lost, or it cannot be told or written.
    """
    enrolled = {host.name: host for host in load_hosts(mirror)}
    if unknown := [host for host in hosts if host not in enrolled]:
        raise NightdropError(
            f"{harmless(unknown[0], 80)} is not enrolled on {mirror.name}",
            "`nightdrop hosts` lists those that are",
        )
    known, troubles = load_losses(mirror.state)
    if troubles:
        raise NightdropError(troubles[0], "mend it, or move it out of that folder")
    sets: list[LostSet] = []
    with closing(Ledger.reading(mirror.ledger, briefly=True)) as ledger:
        vault = FolderVault(mirror.vault)
        folders = vault.hosts()
        for name in sorted(set(hosts) or enrolled):
            book = Book(ledger, name, Remembered())
            shelf = look_at_host(vault, enrolled[name], book, frozenset(), name in folders)
            sets += _lost(shelf.acknowledging(known.get(name, {})))
    if not sets:
        whose = ", ".join(sorted(set(hosts))) or "any host"
        raise NightdropError(
            f"no set of {whose} is gone that is not acknowledged yet",
            "a set of which something is left counts as damaged: it may be removed, all files with its "
            "time in their names, and is gone then",
        )
    loss = Loss(now, by, because, tuple(sets))
    return record(mirror.state, loss), loss


def _lost(shelf: Shelf) -> Iterator[LostSet]:
    """The sets of a host that are gone, but for those that are acknowledged."""
    gone = dict(shelf.gone)
    for key in all_gone(shelf):
        if key not in shelf.acknowledged:
            yield LostSet(shelf.host, key.stem, gone[key].sha256)
