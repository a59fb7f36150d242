"""One request, as the listener hands it to the door."""

from dataclasses import dataclass

from nightdrop_server.body import Body
from nightdrop_server.heads import Head


@dataclass
class Request:
    """A request: its head, its body, the client's address, and the host it turned out to be from
    ("-" as long as nobody knows).
    """

    head: Head
    body: Body
    address: str
    host: str = "-"
