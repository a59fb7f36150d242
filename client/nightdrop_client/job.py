"""What a run hands to the duplicity process it started, through a pipe: there are secrets in it."""

import json
import sys
from dataclasses import asdict, dataclass
from typing import Any, Final

SCHEME: Final = "nightdrop"
"""What the backend that drops on the mirrors is registered as. Not said there: whoever starts the process
need not import duplicity.
"""

URL: Final = f"{SCHEME}:///mirrors"


@dataclass(frozen=True)
class Job:
    """`arguments` are duplicity's, `sealing` the settings of its stand-in for gpgsm; `mirrors` are
    `BundleMirror`s with their passwords; `started` is in epoch seconds, `patience` in seconds; `dead`
    says which mirrors have failed in this run already, and of what; `limits` are a `Limits` as JSON,
    `sources` a `Ready`, `secrets` the `StreamSecrets` of commands by their places.
    """

    arguments: list[str]
    sealing: list[str]
    host: str
    mirrors: list[dict[str, Any]]
    state: str
    started: float
    patience: float
    dead: dict[str, str]
    limits: dict[str, Any]
    sources: dict[str, Any]
    secrets: dict[str, Any]

    def to_bytes(self) -> bytes:
        """For the pipe."""
        return json.dumps(asdict(self)).encode()


def read_job() -> Job:
    """The job that comes through standard input, as soon as it does; leaves if it never will."""
    octets = sys.stdin.buffer.read()
    if not octets:
        # The run has ended before it came to this, and has said why.
        sys.exit()
    return Job(**json.loads(octets))
