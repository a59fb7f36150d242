"""Acknowledged losses: sets that came here and are gone, of which an administrator knows, and why.

Nothing brings them back, and what is said for ever is not read any more. So who knows of them writes that
down (`nightdrop acknowledge`), in the folder `acknowledged` of the mirror's state (FORMAT.md,
"Acknowledged losses"). The check tells of them quietly from then on, and of any other loss as before.
"""

import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, NamedTuple

from nightdrop.errors import NightdropError
from nightdrop.files import whole_file

FORMAT: Final = "nightdrop-loss/1"
_FOLDER: Final = "acknowledged"
_LONGEST: Final = 32 * 1024 * 1024
_LONGEST_TEXT: Final = 1000
# With a fraction: two may be made in one second.
_TIME: Final = "%Y-%m-%dT%H:%M:%S.%fZ"


class LostSet(NamedTuple):
    """A set of a host that is gone, with the SHA-256 (hex) of its receipt."""

    host: str
    set: str
    sha256: str


class Loss(NamedTuple):
    """That these sets are gone was acknowledged: when (epoch seconds), by whom, and why."""

    at: float
    by: str
    because: str
    sets: tuple[LostSet, ...]


Acknowledged = Mapping[tuple[str, str], Loss]
"""What was acknowledged of one host, by name of the set and SHA-256 of its receipt."""


def record(state: Path, loss: Loss) -> Path:
    """Write a loss down, in a file of its own; NightdropError if that fails."""
    at = datetime.fromtimestamp(loss.at, UTC)
    fields = {
        "format": FORMAT,
        "at": at.strftime(_TIME),
        "by": loss.by,
        "because": loss.because,
        "sets": [each._asdict() for each in loss.sets],
    }
    octets = (json.dumps(fields, indent=1) + "\n").encode()
    if len(octets) > _LONGEST:
        raise NightdropError("these are more sets than one record may name", "name fewer hosts at a time")
    path = state / _FOLDER / f"loss-{at:%Y%m%dT%H%M%S.%fZ}.json"
    try:
        path.parent.mkdir(mode=0o700, exist_ok=True)
        with whole_file(path, 0o600, replace=False) as file:
            file.write(octets)
    except OSError as error:
        raise NightdropError(f"cannot write {path}: {error.strerror}") from error
    return path


def load_losses(state: Path) -> tuple[dict[str, Acknowledged], list[str]]:
    """What was acknowledged, by host; and what lies among the records and cannot be read, in words."""
    losses, troubles = [], []
    for path in _records(state / _FOLDER):
        try:
            with path.open("rb") as file:
                losses.append(_parse(file.read(_LONGEST)))
        except (NightdropError, OSError) as error:
            why = error.message if isinstance(error, NightdropError) else error.strerror
            troubles.append(f"{path}: {why}")
    found: dict[str, dict[tuple[str, str], Loss]] = {}
    for loss in losses:
        for each in loss.sets:
            found.setdefault(each.host, {})[each.set, each.sha256] = loss
    return dict(found), troubles


def _records(folder: Path) -> Iterable[Path]:
    try:
        return sorted(path for path in folder.iterdir() if path.suffix == ".json")
    except FileNotFoundError:
        return []


def _parse(octets: bytes) -> Loss:
    try:
        fields = json.loads(octets)
        at = datetime.strptime(fields["at"], _TIME).replace(tzinfo=UTC).timestamp()
        sets = tuple(LostSet(*(_text(each[key]) for key in LostSet._fields)) for each in fields["sets"])
        loss = Loss(at, _text(fields["by"]), _text(fields["because"]), sets)
        known = fields["format"] == FORMAT
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, OverflowError) as error:
        raise NightdropError("it is no record of an acknowledged loss") from error
    if not known:
        raise NightdropError(f"its format is not {FORMAT}")
    return loss


def _text(value: object) -> str:
    if not isinstance(value, str) or len(value) > _LONGEST_TEXT:
        raise ValueError
    return value
