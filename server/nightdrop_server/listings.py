"""Answers about a host's folder, kept while it is unchanged: listing 10,000 files costs a second of work.

Files here are written once and whole, so a folder's time of modification says whether its listing
is still right. A change in the same tick of that clock would not show, so a folder has to have rested
before its listing is kept. One listing a host is worked out at a time; as it may be tens of megabytes, a
large one holds up the host's others until its client has read it.
"""

import os
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from contextlib import ExitStack
from http import HTTPStatus
from typing import Final

from nightdrop.vault import FolderVault
from nightdrop_server.answers import Answer, Refused

Question = tuple[str, str, bytes]
"""A name or "", a depth, and the body of the question."""

RESTED: Final = 1_000_000_000
"""Nanoseconds for which a folder has to be unchanged before its listing is kept."""

_MOST: Final = 16 * 1024 * 1024
_LONGEST_QUESTION: Final = 1024
_LARGE: Final = 256 * 1024
_PATIENCE: Final = 10.0


class Listings:
    """The answers kept for one vault, 16 MiB of them at most; safe to share between threads."""

    def __init__(self, vault: FolderVault) -> None:
        self._vault = vault
        self._lock = threading.Lock()
        self._at_work: dict[str, threading.Lock] = {}
        self._kept: OrderedDict[tuple[str, Question], tuple[tuple[int, int], Answer]] = OrderedDict()
        self._octets = 0

    def answer(
        self, host: str, question: Question, work_out: Callable[[], Answer], turn: ExitStack
    ) -> Answer:
        """The answer to a question about a host's folder; OSError if there is no such folder.
        Refused (503) where the host's others take too long. `turn` lasts until the answer is sent.
        """
        with self._lock:
            at_work = self._at_work.setdefault(host, threading.Lock())
        if not at_work.acquire(timeout=_PATIENCE):
            raise Refused(
                HTTPStatus.SERVICE_UNAVAILABLE,
                f"another listing of {host} is on its way",
                (("Retry-After", "10"),),
            )
        with ExitStack() as held:
            held.callback(at_work.release)
            answer = self._known(host, question, work_out)
            if len(answer.body) > _LARGE:
                turn.push(held.pop_all())
            return answer

    def _known(self, host: str, question: Question, work_out: Callable[[], Answer]) -> Answer:
        """The answer as it is kept, or as it is worked out, and maybe kept."""
        state = self._state(host)
        with self._lock:
            kept_state, kept = self._kept.get((host, question), (None, None))
        if kept is not None and kept_state == state:
            return kept
        answer = work_out()
        worth = answer.status == HTTPStatus.MULTI_STATUS and len(question[2]) <= _LONGEST_QUESTION
        if worth and time.time_ns() - state[1] > RESTED:
            self._keep((host, question), state, answer)
        return answer

    def _state(self, host: str) -> tuple[int, int]:
        with self._vault.folder(host) as folder:
            status = os.fstat(folder)
        return status.st_ino, status.st_mtime_ns

    def _keep(self, key: tuple[str, Question], state: tuple[int, int], answer: Answer) -> None:
        with self._lock:
            if key in self._kept:
                self._octets -= len(self._kept.pop(key)[1].body)
            self._kept[key] = (state, answer)
            self._octets += len(answer.body)
            while self._octets > _MOST:
                self._octets -= len(self._kept.popitem(last=False)[1][1].body)
