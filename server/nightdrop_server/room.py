"""Room for what is being dropped: the disk's reserve, a host's quota, the longest file.

Uploads under way are counted with what is stored, so that ten at once cannot each take the last
gigabyte. A body that says its length has room for all of it from the start, one in chunks piece by piece.
"""

import os
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

from nightdrop.mirror import Mirror
from nightdrop.text import format_size
from nightdrop.vault import FolderVault
from nightdrop_server.answers import Refused

_STEP: Final = 16 * 1024 * 1024
"""How much more room a body in chunks is given at a time, in octets."""


@dataclass
class Upload:
    """One upload: whose, into which folder (a descriptor), the host's quota (0: none), how many octets
    it was given room for and how many of them it has used.
    """

    host: str
    folder: int
    quota: int
    given: int = 0
    used: int = 0


class Room:
    """One mirror's room; safe to share between threads."""

    def __init__(self, mirror: Mirror, vault: FolderVault) -> None:
        self._mirror = mirror
        self._vault = vault
        self._lock = threading.Lock()
        self._under_way: Counter[str] = Counter()
        self._unwritten = 0

    @contextmanager
    def upload(self, host: str, quota: int, folder: int, length: int | None) -> Iterator[Upload]:
        """Room for one upload of `length` octets or, with None, of what comes. Refused (413, 507)."""
        upload = Upload(host, folder, quota)
        try:
            if length is not None:
                self._check_length(length)
                self._give(upload, length)
            yield upload
        finally:
            with self._lock:
                self._under_way[host] -= upload.given
                self._unwritten -= upload.given - upload.used

    def use(self, upload: Upload, octets: int) -> None:
        """So many octets more are about to be written. Refused (413, 507)."""
        self._check_length(upload.used + octets)
        if upload.used + octets > upload.given:
            try:
                self._give(upload, max(_STEP, octets))
            except Refused:
                # Not so much at once, then: this may be the last of it.
                self._give(upload, octets)
        upload.used += octets
        with self._lock:
            self._unwritten -= octets

    def _check_length(self, octets: int) -> None:
        if octets > self._mirror.max_file:
            raise Refused(
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
                f"no file on {self._mirror.name} may be longer than {format_size(self._mirror.max_file)}",
            )

    def _give(self, upload: Upload, octets: int) -> None:
        disk = os.fstatvfs(upload.folder)
        free = disk.f_bavail * disk.f_frsize - self._mirror.reserve
        stored = sum(file.size for file in self._vault.list(upload.host)) if upload.quota else 0
        with self._lock:
            if upload.quota and stored + self._under_way[upload.host] + octets > upload.quota:
                raise Refused(
                    HTTPStatus.INSUFFICIENT_STORAGE,
                    f"the quota of {upload.host} on {self._mirror.name} is used up: it may keep "
                    f"{format_size(upload.quota)}, has {format_size(stored)}",
                )
            if self._unwritten + octets > free:
                raise Refused(
                    HTTPStatus.INSUFFICIENT_STORAGE,
                    f"the disk of {self._mirror.name} is full"
                    f" ({format_size(self._mirror.reserve)} of it are kept free)",
                )
            self._under_way[upload.host] += octets
            self._unwritten += octets
        upload.given += octets
