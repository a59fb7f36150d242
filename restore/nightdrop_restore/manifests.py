"""The manifests of a chain: fetched and opened first, because everything else depends on them."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from nightdrop.errors import EnvelopeError, VaultError
from nightdrop_restore.envelope.opening import open_envelope
from nightdrop_restore.origin import OnText, Origin
from nightdrop_restore.vaults.copies import Accept, SilentError

_VOLUME: Final = re.compile(rb"^Volume (\d{1,7}):", re.MULTILINE)
_LONGEST: Final = 256 * 1024 * 1024
_LONGEST_LINE: Final = 1024 * 1024
_MOST_VOLUMES: Final = 1_000_000
_ELSEWHERE: Final = "another vault may have it whole; or restore an older state with --time"


@dataclass(frozen=True)
class Manifest:
    """A manifest that was fetched and opens: where its envelope is, and the numbers of its volumes."""

    sealed: Path
    volumes: Sequence[int]


def fetch_manifests(work: Path, origin: Origin, on_other: OnText) -> dict[str, Manifest]:
    """Fetch and open the manifest of each set, so that a wrong key, and a chain that cannot be restored,
    is told before anything is written. By name, the newest first.
    """
    copies = origin.copies(on_other)
    found = {}
    # The last first: if the key is wrong, there is no need to fetch them all.
    for one in reversed(origin.chain):
        name = one.key.manifest_name
        sealed = work / name
        volumes = VolumeNumbers()
        try:
            copies.fetch(name, sealed, opening_whole(origin, name))
            with sealed.open("rb") as file:
                open_envelope(file.read, volumes.write, [origin.key])
            found[name] = Manifest(sealed, volumes.numbers)
        except SilentError:
            raise
        except VaultError as error:
            raise VaultError(error.message, _ELSEWHERE) from error
        except EnvelopeError as error:
            where = f"{origin.host}/{name}"
            raise EnvelopeError(f"{where}: {error.message}", error.hint or _ELSEWHERE) from error
    return found


def volume_names(manifests: Mapping[str, Manifest]) -> list[str]:
    """The names of all volumes that there should be, whether they are there or not."""
    return [
        f"{name.removesuffix('.manifest.p7m')}.vol{number}.difftar.p7m"
        for name, manifest in manifests.items()
        for number in manifest.volumes
    ]


class VolumeNumbers:
    """Finds the numbers of a set's volumes in its manifest, as that is opened, and keeps nothing else:
    duplicity's own names every file that changed, too.
    """

    def __init__(self) -> None:
        self.numbers: list[int] = []
        self._line = b""
        self._octets = 0

    def write(self, octets: bytes) -> None:
        """Take so much more of it."""
        self._octets += len(octets)
        lines, end, self._line = (self._line + octets).rpartition(b"\n")
        self.numbers += map(int, _VOLUME.findall(lines + end))
        if (
            self._octets > _LONGEST
            or len(self._line) > _LONGEST_LINE
            or len(self.numbers) > _MOST_VOLUMES
        ):
            raise EnvelopeError("what is in it is no manifest, or longer than any could be")


def opening_whole(origin: Origin, name: str) -> Accept | None:
    """Takes, where there is a choice, only a copy of a file that opens, and is what its receipt says."""
    if len(origin.places) == 1:
        return None

    def wrong(path: Path) -> str:
        try:
            with path.open("rb") as file:
                open_envelope(file.read, lambda _octets: None, [origin.key])
        except EnvelopeError as error:
            return error.message
        return origin.copies(lambda _text: None).unlike_receipt(name, path)

    return wrong
