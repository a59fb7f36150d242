"""What the check remembers of settled sets, host by host (`settled`), beside what it saw of files."""

from collections.abc import Iterable

from nightdrop.errors import VaultError
from nightdrop.names import SetKey
from nightdrop_check.settled import Remembered, Settled, read_settled, write_settled
from nightdrop_check.store import Store


class SettledMemory:
    """The settled sets of one mirror's hosts."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def of(self, host: str, basis: str) -> Remembered:
        """What is remembered of a host, if that was judged on this basis."""
        with self._store.explained():
            row = self._store.db.execute(
                "SELECT basis, until, ledger, beyond FROM hosts WHERE host = ?", (host,)
            ).fetchone()
            if row is None or row[0] != basis:
                return Remembered()
            texts = self._store.db.execute("SELECT text FROM settled WHERE host = ?", (host,)).fetchall()
        try:
            sets = read_settled(text for (text,) in texts)
        except (ValueError, TypeError, IndexError) as error:
            raise VaultError(f"what is remembered of {host} makes no sense: {error}") from error
        return Remembered(row[0], row[1], row[2], bool(row[3]), sets)

    def remember(
        self,
        host: str,
        before: Remembered,
        now: Remembered,
        new: Iterable[Settled],
        gone: Iterable[SetKey],
    ) -> None:
        """Remember of a host what is so `now` in place of what was `before`: these sets are `new`, and
        these are settled no more.
        """
        rows = [(host, each.key.stem, write_settled(each)) for each in new]
        lost = [(host, key.stem) for key in gone]
        if not rows and not lost and before[:4] == now[:4]:
            return
        with self._store.transaction():
            db = self._store.db
            if before.basis != now.basis:
                db.execute("DELETE FROM settled WHERE host = ?", (host,))
            db.execute("INSERT OR REPLACE INTO hosts VALUES (?, ?, ?, ?, ?)", (host, *now[:4]))
            db.executemany("DELETE FROM settled WHERE host = ? AND stem = ?", lost)
            db.executemany("INSERT OR REPLACE INTO settled VALUES (?, ?, ?)", rows)
