"""The restoring duplicity process: duplicity's own program, reading from a vault.

Runs as `python -m nightdrop_restore.engine.launcher DESCRIPTOR`, and is told its order on standard
input: it gets ready while the key is unlocked. duplicity sees only the files of the one chain that is to
be restored, so nothing that is unfinished or damaged beside it can confuse it.
"""

import os
import shutil
import sys
from pathlib import Path

from duplicity import config
from duplicity.backend import Backend, register_backend
from duplicity.errors import FatalBackendException
from duplicity.path import Path as DuplicityPath

from nightdrop.engine.events import Event, EventWriter
from nightdrop.engine.inside import is_pinned, run_duplicity
from nightdrop.errors import VaultError
from nightdrop.names import SetKey
from nightdrop_restore.choosing import Choice
from nightdrop_restore.engine.conveying import Sender
from nightdrop_restore.engine.gpgsm import share_key, write_gpgsm
from nightdrop_restore.engine.listing import list_to
from nightdrop_restore.engine.losing import Losses
from nightdrop_restore.engine.order import Order, read_order
from nightdrop_restore.engine.placing import restore_only
from nightdrop_restore.engine.unpacking import convey, map_owners, read_on_after_dots
from nightdrop_restore.items import Index, shown
from nightdrop_restore.owners import Owners
from nightdrop_restore.vaults.addresses import places_in
from nightdrop_restore.vaults.copies import Copies


def main() -> None:
    """Run duplicity as the order says; leaves with duplicity's exit status."""
    if pinned := is_pinned():
        from nightdrop_restore.engine import substitutions
    order, events = read_order(), EventWriter(int(sys.argv[1]))
    key = share_key(order.key)
    write_gpgsm(Path(order.stand_in), key)

    def left(index: Index, reason: str) -> None:
        events.tell(Event("unrestored", shown(index), reason))

    copies = Copies(
        places_in(order.vaults),
        order.host,
        order.digests,
        lambda text: events.tell(Event("elsewhere", text)),
    )
    choice = Choice(order.paths, order.find, order.strip)
    losses = Losses(
        [SetKey(*fields) for fields in order.chain],
        copies,
        lambda name, octets: events.tell(Event("fetched", name, octets=octets)),
        left,
        choice,
    )
    if pinned:
        substitutions.install(key)
    losses.install()
    restore_only(choice, left)
    read_on_after_dots()
    losses.look_ahead()
    map_owners(Owners(order.users, order.groups))
    if order.listing:
        list_to(Path(order.listing))
    if order.out is not None:
        # Or a stand-in for gpgsm that outlives us would keep it open.
        os.set_inheritable(order.out, False)
        convey(Sender(order.out), losses)
    status: object = 0
    try:
        run_duplicity(order.arguments, events, lambda: _register(order, copies, events))
        events.tell(Event("finished"))
    except SystemExit as leaving:
        status = leaving.code or 0
    sys.stdout.flush()
    sys.stderr.flush()
    # Python's own way out waits for what still decrypts, and that for somebody who reads on.
    os._exit(status if isinstance(status, int) else 1)


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
    # It wants room for two volumes of this size for its temporary files. Ours are as large as they are,
    # and a disk that is too small for what is restored is told of by who writes to it.
    config.volsize = 0


if __name__ == "__main__":
    main()
