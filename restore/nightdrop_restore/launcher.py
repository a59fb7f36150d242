"""The restoring duplicity process: duplicity's own program, reading from a vault.

Runs as `python -m nightdrop_restore.launcher ORDER DESCRIPTOR`. duplicity sees only the files of the
one chain that is to be restored, so nothing that is unfinished or damaged beside it can confuse it.
"""

import json
import os
import shutil
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from duplicity.backend import Backend, register_backend
from duplicity.errors import FatalBackendException
from duplicity.path import Path as DuplicityPath

from nightdrop.engine.events import Event, EventWriter
from nightdrop.engine.inside import is_pinned, run_duplicity
from nightdrop.errors import VaultError
from nightdrop.names import SetKey, SetType
from nightdrop_restore.addresses import shared_places
from nightdrop_restore.asking import Asker
from nightdrop_restore.choosing import Choice
from nightdrop_restore.copies import Copies
from nightdrop_restore.losing import Losses
from nightdrop_restore.owners import Owners
from nightdrop_restore.placing import restore_only
from nightdrop_restore.telling import Teller
from nightdrop_restore.unpacking import map_owners, read_on_after_dots, write_with
from nightdrop_restore.writing import Overwrite, Policy, Writer

URL: Final = "nightdrop:///vault"


@dataclass(frozen=True)
class Order:
    """What to restore from: the descriptors that say where the vaults are and what the key is, the host,
    the sets of the chain, the names of their files, the SHA-256 of those that have one, the paths of
    those that are here already. What is wanted of it (the fields of a Choice), where it goes, what may
    be written (the fields of a Policy), to which owners; and duplicity's arguments.
    """

    vaults: int
    key: int
    host: str
    chain: list[tuple[str, str, SetType, str]]
    names: list[str]
    digests: dict[str, str]
    here: dict[str, str]
    paths: Sequence[str]
    find: Sequence[str]
    strip: int
    to: str
    overwrite: Overwrite | None
    devices: bool
    setuid: bool
    users: dict[str, int]
    groups: dict[str, int]
    arguments: list[str]

    def write(self, path: Path) -> None:
        """Write the order to a file."""
        path.write_text(json.dumps(asdict(self)))


def main() -> None:
    """Run duplicity as the order says; leaves with duplicity's exit status."""
    order = Order(**json.loads(Path(sys.argv[1]).read_text()))
    events = EventWriter(int(sys.argv[2]))
    teller = Teller(events)
    copies = Copies(
        shared_places(order.vaults),
        order.host,
        order.digests,
        lambda text: events.tell(Event("elsewhere", text)),
    )
    choice = Choice(order.paths, order.find, order.strip)
    losses = Losses(
        [SetKey(*fields) for fields in order.chain],
        copies,
        lambda name, octets: events.tell(Event("fetched", name, octets=octets)),
        teller.left,
        choice,
    )
    if is_pinned():
        from nightdrop_restore import substitutions

        substitutions.install(order.key)
    losses.install()
    restore_only(choice, teller.left)
    read_on_after_dots()
    losses.look_ahead()
    map_owners(Owners(order.users, order.groups))
    policy = Policy(order.overwrite, order.devices, order.setuid)
    write_with(lambda: Writer(Path(order.to), policy, teller, Asker()), losses)
    try:
        run_duplicity(order.arguments, events, lambda: _register(order, copies, events))
    finally:
        teller.flush()
    events.tell(Event("finished"))


def _register(order: Order, copies: Copies, events: EventWriter) -> None:
    class VaultBackend(Backend):  # type: ignore[misc]
        def _list(self) -> list[str]:
            return order.names

        def _get(self, remote_filename: bytes, local_path: DuplicityPath) -> None:
            name = os.fsdecode(remote_filename)
            into = Path(os.fsdecode(local_path.name))
            try:
                if name in order.here:
                    octets = shutil.copyfile(order.here[name], into).stat().st_size
                else:
                    octets = copies.fetch(name, into)
            except (VaultError, OSError) as error:
                raise FatalBackendException(str(error)) from error
            events.tell(Event("fetched", name, octets=octets))

    register_backend("nightdrop", VaultBackend)


if __name__ == "__main__":
    main()
