"""`nightdrop backup`."""

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

from nightdrop.errors import ExitStatus
from nightdrop.text import count, format_duration, format_size, harmless
from nightdrop_client.configuration import DEFAULT_PATH, load_client

if TYPE_CHECKING:
    from nightdrop_client.run import Outcome

DESCRIPTION = """
Back this host up, once: a full when one is due, an incremental otherwise, encrypted to the bundle's
recipients and dropped on every mirror. One mirror is enough for the run to go on; what was missing
where is said at the end.
"""

_NOTES_SHOWN = 10


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument(
        "--config",
        metavar="FILE",
        type=Path,
        default=DEFAULT_PATH,
        help="default: %(default)s",
    )
    parser.add_argument("--full", action="store_true", help="make a full, though none may be due")
    parser.add_argument("--json", action="store_true", help="print the summary as one JSON object")


def run(arguments: argparse.Namespace) -> ExitStatus:
    """Make one backup set."""
    from nightdrop_client.run import run_backup

    client = load_client(arguments.config)

    def say(line: str) -> None:
        if not arguments.json:
            print(line, flush=True)

    outcome = run_backup(client, arguments.full, say)
    print(json.dumps(_facts(outcome)) if arguments.json else _summary(outcome))
    return ExitStatus.DONE if outcome.everywhere else ExitStatus.PARTIAL


def _summary(outcome: "Outcome") -> str:
    done = outcome.done
    lines = [
        f"{done.key.stem}: {count(done.files, 'file')}, {format_size(done.size)} read; "
        f"{format_size(outcome.stored)} in {count(outcome.volumes, 'volume')} on each mirror; "
        f"{format_duration(outcome.seconds)}"
    ]
    lines += [f"warning: {harmless(note)}" for note in outcome.notes[:_NOTES_SHOWN]]
    if len(outcome.notes) > _NOTES_SHOWN:
        lines.append(f"warning: and {len(outcome.notes) - _NOTES_SHOWN} more like these")
    if done.unread:
        lines.append(f"not in this backup: {count(done.unread, 'source file')} could not be read")
    lines += [f"warning: {problem}" for problem in outcome.problems]
    for mirror in outcome.lacking:
        why = outcome.failures.get(mirror, "it missed a part of it")
        lines.append(f"the mirror {mirror} does not have this set: {why}")
    return "\n".join(lines)


def _facts(outcome: "Outcome") -> dict[str, object]:
    return {
        "set": outcome.done.key.stem,
        "type": outcome.plan.type,
        "reason": outcome.plan.reason,
        "files": outcome.done.files,
        "size": outcome.done.size,
        "unread": outcome.done.unread,
        "stored": outcome.stored,
        "volumes": outcome.volumes,
        "seconds": round(outcome.seconds, 2),
        "mirrors_lacking": outcome.lacking,
        "mirror_failures": outcome.failures,
        "warnings": outcome.notes + outcome.problems,
    }
