"""Room for what is being dropped: the disk's reserve, a host's quota, the longest file, the most files.

Uploads under way are counted with what is stored, so that ten at once cannot each take the last
gigabyte. A body that says its length has room for all of it from the start, one in chunks piece by piece.
"""

import os
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

from nightdrop.mirror import Mirror
from nightdrop.text import format_size
from nightdrop.vault import MOST_FILES, FolderVault
from nightdrop_server.answers import Refused
from nightdrop_server.tallies import Tallies, Tally

_STEP: Final = 16 * 1024 * 1024
"""How much more room a body in chunks is given at a time, in octets."""

_GOOD_FOR: Final = 300.0
"""Seconds for which a host's files are not counted anew, unless something would be refused."""


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
        self._lock = threading.Lock()
        self._tallies = Tallies(vault, self._lock)
        self._uploads: Counter[str] = Counter()
        self._under_way: Counter[str] = Counter()
        self._unwritten = 0

    @contextmanager
    def upload(self, host: str, quota: int, folder: int, length: int | None) -> Iterator[Upload]:
        """Room for one upload of `length` octets or, with None, of what comes. Refused (413, 507)."""
        upload = Upload(host, folder, quota)
        with self._lock:
            self._uploads[host] += 1
        try:
            self._check_length(length or 0)
            self._give(upload, length or 0)
            yield upload
        finally:
            with self._lock:
                self._uploads[host] -= 1
                self._take_back(upload)

    def keep(self, upload: Upload, named: float) -> None:
        """An upload is a file now, which got its name after `named` (time.monotonic)."""
        with self._lock:
            # At no moment is it counted neither with what is under way nor with what is kept.
            self._tallies.add(upload.host, upload.used, named)
            self._take_back(upload)

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
        since = time.monotonic() - _GOOD_FOR
        refused: Refused | None = None
        while True:
            with self._lock:
                tally = self._tallies.get(upload.host, since)
                if tally is not None:
                    again, refused = refused is not None, self._refusal(upload, octets, tally)
                    if refused is None:
                        self._under_way[upload.host] += octets
                        self._unwritten += octets
                        upload.given += octets
                        return
                    if again:
                        raise refused
                    since = time.monotonic()
            self._tallies.count(upload.host, since)

    def _refusal(self, upload: Upload, octets: int, tally: Tally) -> Refused | None:
        """Why there is no room for so many octets more, if there is none."""
        host, where = upload.host, self._mirror.name
        # One more than anybody looks at, so that the check tells of it.
        if tally.files + self._uploads[host] > MOST_FILES + 1:
            return _no_room(
                f"{host} keeps {tally.files:,} files on {where}, which is more than anybody needs"
            )
        if upload.quota and tally.octets + self._under_way[host] + octets > upload.quota:
            return _no_room(
                f"the quota of {host} on {where} is used up: it may keep "
                f"{format_size(upload.quota)}, has {format_size(tally.octets)}"
            )
        disk = os.fstatvfs(upload.folder)
        if self._unwritten + octets > disk.f_bavail * disk.f_frsize - self._mirror.reserve:
            return _no_room(
                f"the disk of {where} is full ({format_size(self._mirror.reserve)} of it are kept free)"
            )
        return None

    def _take_back(self, upload: Upload) -> None:
        self._under_way[upload.host] -= upload.given
        self._unwritten -= upload.given - upload.used
        upload.given = upload.used = 0


def _no_room(sentence: str) -> Refused:
    return Refused(HTTPStatus.INSUFFICIENT_STORAGE, sentence)
