"""The command line that duplicity is run with: pure functions of the configuration."""

import re
from collections.abc import Sequence
from pathlib import Path

from nightdrop.names import SetType
from nightdrop_client.configuration import KERNEL_FOLDERS, Client
from nightdrop_client.job import URL
from nightdrop_client.mounts import mount_points
from nightdrop_client.sources.ready import ROOT
from nightdrop_client.state import DUPLICITY_NAME, State


def backup_arguments(
    client: Client, state: State, set_type: SetType, moment: int, gpgsm: Path
) -> list[str]:
    """duplicity's arguments for making one set of this type; `gpgsm` is the stand-in.

    `moment` is the set's time in epoch seconds, which goes into its names.
    """
    return [
        set_type,
        # Meant for duplicity's own tests, and just what is needed: it sets the one time that a run has.
        "--current-time",
        str(moment),
        *_quiet(),
        "--archive-dir",
        str(state.archive_root),
        "--name",
        DUPLICITY_NAME,
        "--tempdir",
        str(state.scratch),
        "--use-gpgsm",
        "--gpg-binary",
        str(gpgsm),
        # No agent: duplicity then opens no passphrase pipe, and there is no passphrase anyway.
        "--use-agent",
        "--encrypt-key",
        "nightdrop",
        "--volsize",
        str(max(1, client.volume_size // (1024 * 1024))),
        # The backend tries again by itself; twice over would multiply.
        "--num-retries",
        "1",
        # A host may be renamed; the state folder says which backup this is.
        "--allow-source-mismatch",
        *_selection(client, state),
        "/",
        URL,
    ]


def _quiet() -> list[str]:
    """Only warnings; and no list of changed files, which nobody reads and the manifest pays for."""
    return ["--verbosity", "2", "--no-print-statistics", "--no-files-changed"]


def _selection(client: Client, state: State) -> list[str]:
    """What to take and what to leave: duplicity goes by the first of these that matches a path."""
    # What would lie there on the disk would stand in the way of what goes there from elsewhere.
    left_out = [str(state.root), ROOT]
    if "/" in client.include:
        left_out += KERNEL_FOLDERS
    patterns = [literal(folder) for folder in left_out] + list(client.exclude)
    words = [word for pattern in patterns for word in ("--exclude", pattern)]
    words += [word for name in client.exclude_if_present for word in ("--exclude-if-present", name)]
    if client.one_file_system:
        words += _other_file_systems(client.include)
    words += [word for folder in client.include for word in ("--include", literal(folder))]
    return [*words, "--exclude", "**"]


def _other_file_systems(included: tuple[str, ...]) -> list[str]:
    """Leave out what is mounted below the included folders, but for what is itself named there.

    duplicity's own option goes by the file system of /, whatever the folders are.
    """
    mounts = [mount for mount in mount_points() if mount not in included and _below(mount, included)]
    named = [folder for folder in included if _below(folder, mounts)]
    words = [word for folder in named for word in ("--include", literal(folder))]
    return words + [word for mount in mounts for word in ("--exclude", literal(mount) + "/**")]


def _below(path: str, folders: Sequence[str]) -> bool:
    return any(path.startswith(folder.rstrip("/") + "/") for folder in folders)


def literal(path: str) -> str:
    """A glob that matches this one path. (duplicity's literal mode does not work below /.)"""
    return re.sub(r"[*?\[]", r"[\g<0>]", path)
