"""One run: whether it is made now, alone, and with what priority; what it does is in `making`."""

import os
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from nightdrop.engine.process import Engine
from nightdrop_client.configuration import Client
from nightdrop_client.lastrun import recorded
from nightdrop_client.limits import yield_to_others
from nightdrop_client.state import SkippedError, State

if TYPE_CHECKING:
    from nightdrop_client.outcome import Outcome

Say = Callable[[str], object]


def run_backup(client: Client, full_wanted: bool, say: Say, *, any_time: bool = False) -> "Outcome":
    """Make one set, outside the configured window, too, if `any_time` is true.

    Raises NightdropError if there is none in the end; then nothing older is lost. Raises SkippedError
    if a run of this job is under way, or this is not the time for one.
    """
    if not any_time and not client.limits.may_begin(time.time()):
        raise SkippedError(
            f"backups begin only in {client.limits.window}, says {client.path}",
            "`--any-time` begins all the same",
        )
    os.umask(0o077)
    state = State(client.state)
    state.prepare()
    lock = state.lock()
    try:
        with recorded(state.last_run) as record, client.hooks.on_failure(client.facts):
            problems = yield_to_others(client.limits)
            engine = Engine(state.duplicity_log)
            with engine.started("nightdrop_client.launcher", keep_open=[lock]):
                # While the duplicity process imports what it needs, so do we.
                from nightdrop_client.making import make_set

                outcome = make_set(client, state, engine, full_wanted, say)
            outcome.notes += problems
            record.everywhere, record.lines = outcome.everywhere, tuple(outcome.complaints())
        if record.unwritten:
            # The set is on the mirrors, which is what a run is for.
            outcome.problems.append(f"how this run went could not be written down: {record.unwritten}")
        return outcome
    finally:
        os.close(lock)
