"""The restoring duplicity process: duplicity's own program, reading from a vault.

Runs as `python -m nightdrop_restore.launcher ORDER DESCRIPTOR`. duplicity sees only the files of the
one chain that is to be restored, so nothing that is unfinished or damaged beside it can confuse it.
"""

import json
import os
import shutil
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from duplicity.backend import Backend, register_backend
from duplicity.errors import FatalBackendException
from duplicity.path import Path as DuplicityPath

from nightdrop.engine.events import Event, EventWriter
from nightdrop.engine.inside import run_duplicity
from nightdrop.errors import VaultError
from nightdrop.vault import FolderVault
from nightdrop_restore.link_times import restore_link_times

URL: Final = "nightdrop:///vault"


@dataclass(frozen=True)
class Order:
    """What to restore from: the vault's folder, the host, the names of the chain's files; and
    duplicity's arguments.
    """

    vault: str
    host: str
    names: list[str]
    arguments: list[str]

    def write(self, path: Path) -> None:
        """Write the order to a file."""
        path.write_text(json.dumps(asdict(self)))


def main() -> None:
    """Run duplicity as the order says; leaves with duplicity's exit status."""
    order = Order(**json.loads(Path(sys.argv[1]).read_text()))
    events = EventWriter(int(sys.argv[2]))
    restore_link_times()
    run_duplicity(order.arguments, events, lambda: _register(order, events))
    events.tell(Event("finished"))


def _register(order: Order, events: EventWriter) -> None:
    vault = FolderVault(Path(order.vault))

    class VaultBackend(Backend):  # type: ignore[misc]
        def _list(self) -> list[str]:
            return order.names

        def _get(self, remote_filename: bytes, local_path: DuplicityPath) -> None:
            name = os.fsdecode(remote_filename)
            try:
                with (
                    vault.open(order.host, name) as source,
                    Path(os.fsdecode(local_path.name)).open("wb") as out,
                ):
                    shutil.copyfileobj(source, out, 1024 * 1024)
                    octets = out.tell()
            except (VaultError, OSError) as error:
                raise FatalBackendException(str(error)) from error
            events.tell(Event("fetched", name, octets=octets))

    register_backend("nightdrop", VaultBackend)


if __name__ == "__main__":
    main()
