"""Asking somebody who may answer as slowly as they like, and hearing them out only so long.

A socket's own timeout begins anew with each octet, so an answer that dribbles would never end, and the
check with it.
"""

import threading
from collections.abc import Callable
from typing import TypeVar

_T = TypeVar("_T")


def within(seconds: float, ask: Callable[[], _T]) -> _T:
    """What `ask` gives, or raises; TimeoutError if it is not done by then.

    It runs in a thread of its own, which is left alone after that, and ends with the process at the
    latest: what it holds has to be bounded.
    """
    answers: list[_T] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            answers.append(ask())
        except BaseException as error:  # noqa: BLE001  raised again by who asked
            errors.append(error)

    thread = threading.Thread(target=run, name="asking", daemon=True)
    thread.start()
    thread.join(seconds)
    if errors:
        raise errors[0]
    if not answers:
        raise TimeoutError
    return answers[0]
