"""Making a run's sources ready, and putting back afterwards what that took, however the run ended."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

from nightdrop.errors import NightdropError
from nightdrop_client.sources.configuration import Command, Sources
from nightdrop_client.sources.pulling import pull
from nightdrop_client.sources.ready import Ready, Stream, Tree, View
from nightdrop_client.sources.secrets import StreamSecrets
from nightdrop_client.sources.snapshots import Snapshots
from nightdrop_client.sources.volumes import mounted
from nightdrop_client.state import State


@dataclass(frozen=True)
class Prepared:
    """What the duplicity process is handed: its sources, and commands' secrets by their places."""

    ready: Ready = field(default_factory=Ready)
    secrets: dict[str, StreamSecrets] = field(default_factory=dict)


@contextmanager
def prepared(sources: Sources, state: State, problems: list[str]) -> Iterator[Prepared]:
    """Sources as they are to be read, for the time of the block. `problems` takes what could not be put
    back.
    """
    ready, secrets = Ready(), {}
    with ExitStack() as stack:
        for command in sources.commands:
            with _failing(ready, command.place):
                secrets[command.place] = _fetched(command)
                ready.streams.append(_stream(command))
        for volume in sources.volumes:
            with _failing(ready, volume.place):
                folder = stack.enter_context(mounted(volume, problems))
                ready.trees.append(Tree(volume.place, folder))
        for one in sources.pulls:
            fetched = state.pulled / one.name
            with _failing(ready, one.place):
                pull(one, fetched, state.scratch)
            # What an earlier run has fetched is kept when this one could not fetch all.
            if fetched.is_dir():
                ready.trees.append(Tree(one.place, str(fetched)))
        snapshots = Snapshots(state.views)
        problems += snapshots.release_leftovers()
        for snapshot in sources.snapshots:
            with _failing(ready, snapshot.folder):
                view = stack.enter_context(snapshots.taken(snapshot, problems))
                ready.views.append(View(snapshot.folder, view))
        yield Prepared(ready, secrets)


@contextmanager
def _failing(ready: Ready, place: str) -> Iterator[None]:
    """Make a failure in the block that of one source, and of nothing else."""
    try:
        yield
    except NightdropError as error:
        ready.failed[place] = error.message


def _fetched(command: Command) -> StreamSecrets:
    return StreamSecrets(
        {name: secret.fetch() for name, secret in command.variables.items()},
        {name: secret.fetch() for name, secret in command.files.items()},
    )


def _stream(command: Command) -> Stream:
    return Stream(
        command.place,
        list(command.command),
        dict(command.environment),
        command.ends_with,
        command.patience,
    )
