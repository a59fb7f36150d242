"""Named volumes of Docker and Podman: where they are on this host."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nightdrop.errors import NightdropError
from nightdrop_client.sources.configuration import Volume, engine_environment
from nightdrop_client.sources.programs import output_of


@contextmanager
def mounted(volume: Volume, problems: list[str]) -> Iterator[str]:
    """The folder with a volume's content, for the time of the block.

    A volume that has a file system of its own is mounted by its engine while a container runs with it;
    Podman can be asked to at other times, too. `problems` takes what went wrong afterwards.
    """
    environment = engine_environment()

    def ask(*words: str) -> str:
        return output_of([volume.engine, "volume", *words, "--", volume.name], environment=environment)

    try:
        [facts] = json.loads(ask("inspect"))
        folder, mounts = str(facts["Mountpoint"]), bool(facts.get("Options"))
    except (ValueError, KeyError, TypeError) as error:
        raise NightdropError(f"{volume.engine} does not say where the volume {volume.name} is") from error
    if not mounts or (folder and os.path.ismount(folder)):
        yield _there(folder, volume)
    elif volume.engine == "podman":
        folder = ask("mount").strip()
        try:
            yield _there(folder, volume)
        finally:
            try:
                ask("unmount")
            except NightdropError as error:
                problems.append(f"the volume {volume.name} is still mounted: {error.message}")
    else:
        raise NightdropError(f"the volume {volume.name} is mounted only while a container runs with it")


def _there(folder: str, volume: Volume) -> str:
    if not folder or not Path(folder).is_dir():
        raise NightdropError(f"the volume {volume.name} has no folder on this host")
    return folder
