"""Who is next: places for requests, the queue for working out passwords, turns at the work."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from http import HTTPStatus
from threading import BoundedSemaphore

import pytest

from nightdrop_server.answers import Refused
from nightdrop_server.queueing import Queue
from nightdrop_server.shares import FairTurns
from nightdrop_server.turns import Turns

from mirrors import wait_until


def test_who_has_least_is_given_the_place_of_who_has_most() -> None:
    """Places are given out until there are none; then hosts end up with equal parts, and the youngest
    requests are those that are ended.
    """
    turns, ended = Turns(at_once=6, places=8), list[str]()

    def comes(host: str, number: int) -> bool:
        try:
            held.enter_context(turns.one(host, lambda: ended.append(f"{host}{number}")))
        except Refused as refused:
            assert refused.status == HTTPStatus.SERVICE_UNAVAILABLE
            return False
        return True

    with ExitStack() as held:
        assert [comes("a", number) for number in range(8)] == [True] * 6 + [False] * 2
        assert [comes("b", number) for number in range(8)] == [True] * 4 + [False] * 4
        assert ended == ["a5", "a4"]
        assert [comes("c", number) for number in range(8)] == [True] * 2 + [False] * 6
        assert sorted(ended[2:]) == ["a3", "b3"]
        assert [comes(f"d{number}", 0) for number in range(6)] == [True] * 5 + [False]
    # All are counted out, and each only once.
    with ExitStack() as held:
        assert [comes(host, 0) for host in "abcdefgh"] == [True] * 8


def test_one_network_does_not_fill_the_queue() -> None:
    """Who has many places gets no more where it is crowded, who has none still gets one."""
    queue = Queue()

    def stands(address: str) -> bool:
        try:
            stack.enter_context(queue.turn(address))
        except Refused as refused:
            assert refused.status == HTTPStatus.SERVICE_UNAVAILABLE
            return False
        return True

    with ExitStack() as stack:
        # Nobody has to wait, so that all stay.
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        for name in ("_crowd", "_working"):
            patch.setattr(queue, name, BoundedSemaphore(999))
        assert sum(stands(f"2001:db8::{number}") for number in range(20)) == 20
        assert sum(stands("192.0.2.1") for _ in range(100)) == 44
        assert not stands("2001:db8::1")
        assert [stands(f"198.51.100.{number}") for number in range(64)] == [True] * 64
        assert not stands("203.0.113.1")
    assert queue._places.total() == 0


def test_who_has_none_there_does_not_wait_for_a_crowd() -> None:
    """While several of a network are there and one of them waits, one of another is let through."""
    queue = Queue(at_work=3)
    with ThreadPoolExecutor() as pool, queue.turn("192.0.2.1"):
        with queue.turn("192.0.2.1"):
            third = pool.submit(lambda: queue.turn("192.0.2.1").__enter__())
            wait_until(lambda: queue._places["192.0.2.1"] == 3, "it queues")
            with queue.turn("198.51.100.1"):
                assert not third.done()
        third.result(60)


def test_turns_go_by_host_not_by_upload() -> None:
    """Ten waiting uploads of one host and one of another, with one processor: the hosts take turns."""
    turns = FairTurns(at_once=1)
    order: list[str] = []

    def work(host: str, blocks: int) -> None:
        for _ in range(blocks):
            with turns.one(host, 100):
                order.append(host)
                if host == "greedy":
                    # The other one asks for its next turn in time, until it has had all of them.
                    wait_until(lambda: waiting("quick") > 0 or order.count("quick") == 10, "it asks")

    def waiting(host: str) -> int:
        return len(turns._waiting.get(host, ()))

    with ThreadPoolExecutor(11) as pool, turns.one("other", 1):
        for _ in range(10):
            pool.submit(work, "greedy", 10)
        pool.submit(work, "quick", 10)
        wait_until(lambda: (waiting("greedy"), waiting("quick")) == (10, 1), "all of them wait")
    last = max(at for at, host in enumerate(order) if host == "quick")
    assert sorted(set(order)) == ["greedy", "quick"]
    assert len(order) == 110
    assert last < 25
