"""Watching duplicity choose what it backs up: for progress, and for what duplicity does not keep.

Looks at each path as duplicity's own scan yields it, so the source is walked once and exclusions count.
"""

import time
from collections.abc import Callable, Iterator

from duplicity import selection
from duplicity.path import Path

from nightdrop.supplement import Supplement

OnScan = Callable[[int, int], None]
"""Told how many files and octets have been looked at so far."""

_INTERVAL = 0.2


class Observer:
    """What has been seen of the source in this run."""

    def __init__(self, on_scan: OnScan) -> None:
        self._on_scan = on_scan
        self._told = 0.0
        self._groups: dict[tuple[int, int], list[bytes]] = {}
        self._sparse: list[bytes] = []
        self.files = 0
        self.octets = 0

    def install(self, among: Callable[[Iterator[Path]], Iterator[Path]] = iter) -> None:
        """Have duplicity's selection of the source pass through here; `among` puts in what else is to be
        backed up.
        """
        observer = self

        class ObservedSelect(selection.Select):  # type: ignore[misc]
            def Iterate(self, path: Path) -> Iterator[Path]:  # noqa: N802
                for found in among(super().Iterate(path)):
                    observer.see(found)
                    yield found

        selection.Select = ObservedSelect

    def see(self, path: Path) -> None:
        """Look at one path that will be backed up."""
        self.files += path.type != "dir"
        if path.type == "reg":
            status = path.stat
            self.octets += status.st_size
            if status.st_nlink > 1:
                self._groups.setdefault((status.st_dev, status.st_ino), []).append(_below_root(path))
            if status.st_blocks * 512 < status.st_size:
                self._sparse.append(_below_root(path))
        now = time.monotonic()
        if now - self._told >= _INTERVAL:
            self._told = now
            self._on_scan(self.files, self.octets)

    def supplement(self) -> Supplement:
        """What duplicity will not have kept of all this."""
        groups = (tuple(sorted(group)) for group in self._groups.values() if len(group) > 1)
        return Supplement(tuple(sorted(groups)), tuple(sorted(self._sparse)))


def _below_root(path: Path) -> bytes:
    return b"/".join(path.index)
