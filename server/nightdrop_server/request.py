"""One request, as the listener hands it to the door."""

from contextlib import ExitStack
from dataclasses import dataclass, field

from nightdrop_server.body import Body
from nightdrop_server.heads import Head


@dataclass
class Request:
    """A request: its head, its body, the client's address, and the host it turned out to be from
    ("-" as long as nobody knows). `turn` is what the door holds for it until the answer is sent.
    """

    head: Head
    body: Body
    address: str
    host: str = "-"
    turn: ExitStack = field(default_factory=ExitStack)
