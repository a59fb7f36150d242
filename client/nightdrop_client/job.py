"""What a run hands to the duplicity process it starts, through a file that only its owner can read."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Job:
    """`arguments` are duplicity's, `sealing` the settings of its stand-in for gpgsm; `bundle` is the path
    of the bundle, which holds the passwords; `started` is in epoch seconds, `patience` in seconds; `dead`
    says which mirrors have failed in this run already, and of what; `limits` are a `Limits` as JSON,
    `sources` a `Ready`; `secrets` is the number of the descriptor that `Secrets.share` made.
    """

    arguments: list[str]
    sealing: list[str]
    bundle: str
    state: str
    started: float
    patience: float
    dead: dict[str, str]
    limits: dict[str, Any]
    sources: dict[str, Any]
    secrets: int

    def write(self, path: Path) -> None:
        """Write the job to a file."""
        path.touch(0o600)
        path.write_text(json.dumps(asdict(self)))


def read_job(path: Path) -> Job:
    """Read a job from its file."""
    return Job(**json.loads(path.read_text()))
