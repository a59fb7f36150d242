"""Volumes that are fetched and checked while the ones before them are read: one ahead of each set."""

import os
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import pairwise
from typing import Any

from duplicity import dup_temp, file_naming, manifest
from duplicity.dup_temp import TempDupPath

from nightdrop.names import parse_name

_AT_ONCE = 2

Fetch = Callable[[str, TempDupPath, Any], int]
"""Fetches a volume by name to a path, and compares it with what the manifest says of it; its octets."""


class Ahead:
    """Fetches volumes. Which one follows which, it learns as duplicity asks for a set's."""

    def __init__(self, fetch: Fetch) -> None:
        self._fetch = fetch
        self._pool = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="ahead")
        self._following: dict[int, Any] = {}
        self._underway: dict[str, tuple[TempDupPath, Future[int]]] = {}

    def install(self) -> None:
        """Learn what is asked for; after whatever else decides on that."""
        asked = manifest.Manifest.get_containing_volumes

        def volumes(of: manifest.Manifest, prefix: tuple[bytes, ...]) -> list[int]:
            numbers: list[int] = asked(of, prefix)
            infos = [of.volume_info_dict[number] for number in numbers]
            self._following |= {id(one): following for one, following in pairwise(infos)}
            return numbers

        manifest.Manifest.get_containing_volumes = volumes

    def get(self, name: str, info: Any) -> tuple[TempDupPath, int]:
        """Where a volume is now, and its octets; raises what fetching raised. `info` is duplicity's."""
        underway = self._underway
        path, octets = underway.pop(name) if name in underway else self._start(name, info)
        following = self._following.get(id(info))
        if following is not None:
            parsed = parse_name(name)
            assert parsed is not None
            later = name.replace(f".vol{parsed.volume}.", f".vol{following.volume_number}.")
            underway[later] = self._start(later, following)
        return path, octets.result()

    def _start(self, name: str, info: Any) -> tuple[TempDupPath, Future[int]]:
        path = dup_temp.new_tempduppath(file_naming.parse(os.fsencode(name)))
        return path, self._pool.submit(self._fetch, name, path, info)
