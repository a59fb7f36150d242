"""Judging many hosts at once, in processes of their own.

Each asks for a host, judges it and sends back what it found, so that a host that takes long holds up
none but itself. Processes that die take nobody along: the host that one was at is told of, and the
others go on.
"""

import gc
import os
from collections.abc import Iterable, Iterator
from contextlib import closing
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from typing import Final

from nightdrop.enrolment import EnrolledHost
from nightdrop.ledger import Ledger
from nightdrop.vault import FolderVault
from nightdrop_check.attempts import attempt, could_not_look
from nightdrop_check.host_judge import HostJudge, Looked, Setting
from nightdrop_check.memory import Memory, memory_path
from nightdrop_check.store import NotKeptError
from nightdrop_check.summary import sum_up

WORTH_IT: Final = 100
"""Hosts from which on it is worth while to start processes."""


def processes() -> int:
    """How many processes this machine has use for."""
    return min(4, len(os.sched_getaffinity(0)))


def spare_the_collector() -> None:
    """Have Python look for garbage that refers to itself but rarely. A look makes next to none, and a
    great many facts, which would be gone through again and again.
    """
    gc.set_threshold(100_000, 50, 100)


def judge_many(setting: Setting, hosts: Iterable[EnrolledHost]) -> Iterator[tuple[str, Looked]]:
    """Judge these hosts, in no order. Memory and ledger are those of the mirror's state; NotKeptError
    where that cannot be written.
    """
    # Not forked, because a connection to SQLite must not be carried into another process.
    context = get_context("spawn")
    queue = iter(hosts)
    busy: dict[Connection, EnrolledHost] = {}
    started = []
    try:
        for _ in range(processes()):
            ours, theirs = context.Pipe()
            process = context.Process(target=_work, args=(setting, theirs), daemon=True)
            process.start()
            started.append(process)
            theirs.close()
            _next(ours, queue, busy)
        while busy:
            for one in wait(list(busy)):
                assert isinstance(one, Connection)
                host = busy.pop(one)
                try:
                    looked: Looked | NotKeptError = one.recv()
                # Dead: the one before it read what it was sent, the other after.
                except (ConnectionError, EOFError):
                    yield host.name, _lost(host)
                    one.close()
                    continue
                if isinstance(looked, NotKeptError):
                    raise looked
                yield host.name, looked
                _next(one, queue, busy)
        for host in queue:
            yield host.name, _lost(host)
    finally:
        for process in started:
            process.terminate()
            process.join()


def _next(one: Connection, queue: Iterator[EnrolledHost], busy: dict[Connection, EnrolledHost]) -> None:
    """Give a process the next host to judge; the end of the queue is the end of it."""
    host = next(queue, None)
    if host is None:
        one.close()
        return
    busy[one] = host
    try:
        one.send(host)
    except ConnectionError:
        return  # it is dead, as reading from it will tell


def _lost(host: EnrolledHost) -> Looked:
    findings = [could_not_look("the process that looked at this host died", host=host.name)]
    return Looked(sum_up(host.name, None, findings), findings)


def _work(setting: Setting, hosts: Connection) -> None:
    """One process: judge what comes, until nothing more does."""
    spare_the_collector()
    mirror = setting.mirror
    try:
        with closing(Memory(memory_path(mirror.state))) as memory:
            ledger = attempt(lambda: Ledger.reading(mirror.ledger, briefly=True), [])
            judge = HostJudge(setting, FolderVault(mirror.vault), memory, ledger)
            while True:
                hosts.send(judge.judge(hosts.recv()))
    except NotKeptError as error:
        hosts.send(error)
    except EOFError:
        return
