"""`nightdrop backup`."""

import argparse
import json
import os
import sys
from contextlib import suppress
from dataclasses import asdict
from typing import TYPE_CHECKING

from nightdrop.arguments import add_config
from nightdrop.errors import ExitStatus
from nightdrop.text import count, format_duration, format_size, harmless
from nightdrop_client.configuration import DEFAULT_PATH, load_client

if TYPE_CHECKING:
    from nightdrop_client.configuration import Client
    from nightdrop_client.dryrun import Rehearsal
    from nightdrop_client.outcome import Outcome

DESCRIPTION = """
Back this host up, once: a full when one is due, an incremental otherwise, encrypted to the bundle's
recipients and dropped on every mirror. One mirror is enough for the run to go on; what was missing
where is said at the end.

A run that is not made, because one of the same configuration is under way or because this is outside of
`limits.window`, says so and exits with 0.
"""

_NOTES_SHOWN = 10


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    add_config(parser, "this host's", DEFAULT_PATH)
    parser.add_argument("--full", action="store_true", help="make a full, though none may be due")
    parser.add_argument("--dry-run", action="store_true", help="say what would be done, and do nothing")
    parser.add_argument("--any-time", action="store_true", help="begin outside of the window, too")
    parser.add_argument("--json", action="store_true", help="print the summary as one JSON object")


def run(arguments: argparse.Namespace) -> ExitStatus:
    """Make one backup set."""
    from nightdrop_client.run import run_backup
    from nightdrop_client.state import SkippedError

    client = load_client(arguments.config)
    if arguments.dry_run:
        from nightdrop_client.dryrun import rehearse

        rehearsal = rehearse(client, arguments.full)
        print(json.dumps(asdict(rehearsal)) if arguments.json else _dry_summary(client, rehearsal))
        return ExitStatus.DONE
    voice = _Voice()

    def say(line: str) -> None:
        if not arguments.json:
            voice.say(line)

    try:
        outcome = run_backup(client, arguments.full, say, any_time=arguments.any_time)
    except SkippedError as skipped:
        print(
            json.dumps({"skipped": skipped.message})
            if arguments.json
            else f"skipped: {skipped.message} ({skipped.hint})"
        )
        return skipped.exit_status
    voice.say(json.dumps(_facts(outcome)) if arguments.json else _summary(outcome))
    return ExitStatus.DONE if outcome.everywhere and not voice.lost else ExitStatus.PARTIAL


class _Voice:
    """Standard output, on which a run says how it goes. If it is `lost`, because its disk is full or its
    reader gone, the run goes on all the same.
    """

    def __init__(self) -> None:
        self.lost = False

    def say(self, text: str) -> None:
        """Print this; where that cannot be, say so once, and then nothing more."""
        try:
            print(text, flush=True)
        except OSError as error:
            self.lost = True
            # What is held back goes there, and so does the rest.
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
            with suppress(OSError):
                why = error.strerror or str(error)
                print(f"nightdrop: warning: what this run says is lost: {why}", file=sys.stderr)


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
    return "\n".join([*lines, *outcome.complaints()])


def _dry_summary(client: "Client", rehearsal: "Rehearsal") -> str:
    chosen = rehearsal.plan
    lines = [f"nothing new would build on {stem}: {why}" for stem, why in rehearsal.forgotten.items()]
    lines.append(f"would make {'a full' if chosen.type == 'full' else 'an incremental'}: {chosen.reason}")
    lines.append(
        f"would look at {count(rehearsal.files, 'file')}, {format_size(rehearsal.size)}; new, changed or "
        f"gone: {count(rehearsal.changed, 'file')}, {format_size(rehearsal.changed_size)}"
    )
    if rehearsal.stored is not None:
        lines.append(f"would store {format_size(rehearsal.stored)} at most, going by the last full")
    if rehearsal.not_counted:
        places = ", ".join(rehearsal.not_counted)
        lines.append(f"in none of these numbers, because only a run asks for them: {places}")
    lines.append(f"would drop it on {', '.join(mirror.name for mirror in client.bundle.mirrors)}")
    return "\n".join([*lines, "nothing was sent, and nothing written down"])


def _facts(outcome: "Outcome") -> dict[str, object]:
    return {
        "set": outcome.done.key.stem,
        "type": outcome.plan.type,
        "reason": outcome.plan.reason,
        "files": outcome.done.files,
        "size": outcome.done.size,
        "unread": outcome.done.unread,
        "failed_sources": outcome.done.failed,
        "stored": outcome.stored,
        "volumes": outcome.volumes,
        "seconds": round(outcome.seconds, 2),
        "mirrors_lacking": outcome.lacking,
        "mirror_failures": outcome.failures,
        "warnings": outcome.notes + outcome.problems,
    }
