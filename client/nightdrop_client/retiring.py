"""Letting go of old chains: so that local metadata does not grow for ever.

Only the newest chain is ever built on. The mirrors keep what they have of the others, and whoever
restores takes everything from there.
"""

from collections.abc import Sequence

from nightdrop.names import SetKey
from nightdrop.sets import chain_up_to
from nightdrop_client.droplog import DropLog
from nightdrop_client.leftovers import metadata
from nightdrop_client.state import State


def retire_old_chains(state: State, log: DropLog, reachable: Sequence[str]) -> list[SetKey]:
    """Delete the metadata of every set before the newest full; which sets those were.

    Only when each mirror of `reachable` has that full whole, and there is one; and never of a set whose
    receipt still waits in the outbox.
    """
    keys = [done.key for done in log.sets()]
    chain = chain_up_to(keys[-1], keys) if keys else []
    if not chain or not reachable:
        return []
    full = chain[0]
    if not all(full.receipt_name in log.files(full, mirror) for mirror in reachable):
        return []
    old = [key for key in keys if key.end < full.end and not _waits(state, key)]
    if old:
        # First the log: metadata that it does not know is cleared by the next run, whatever happens here.
        log.retire(old)
        for key in old:
            for name in metadata(key):
                (state.archive / name).unlink(missing_ok=True)
    return old


def _waits(state: State, key: SetKey) -> bool:
    return (state.outbox / key.receipt_name).exists()
