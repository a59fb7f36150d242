"""One request, as the listener hands it to the door."""

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field

from nightdrop_server.body import Body
from nightdrop_server.heads import Head


@dataclass
class Request:
    """A request: its head, its body, the client's address, what ends it from another thread, and the host
    it turned out to be from ("-" as long as nobody knows). `turn` is what the door holds for it until the
    answer is sent; with `patient` the answer waits for the client to take it.
    """

    head: Head
    body: Body
    address: str
    end: Callable[[], object]
    host: str = "-"
    patient: bool = False
    turn: ExitStack = field(default_factory=ExitStack)
