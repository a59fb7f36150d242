"""`nightdrop inspect`."""

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

from nightdrop.errors import EnvelopeError, ExitStatus
from nightdrop.text import count, format_size, harmless

if TYPE_CHECKING:
    from nightdrop.envelope.inspection import Inspection

DESCRIPTION = """
Describe envelopes (DER, PEM, base64 or S/MIME) without a key: to whom they are encrypted, with which
cipher, and whether they end where they should. Whether the content is compressed cannot be told without
a key.

Reads the first kilobytes and the tail of each file only, so a whole envelope here can still have been
altered in the middle; the receipt's digest tells that. Exits 1 if any file is no whole envelope, or
cannot be read; the others are described all the same.
"""

ENDS = {
    True: "ends properly",
    False: "ENDS IN THE MIDDLE",
    None: "WHETHER IT IS WHOLE CANNOT BE TOLD (its base64 is not in even lines)",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    parser.add_argument("files", metavar="FILE", nargs="+", type=Path, help="an envelope")


def run(arguments: argparse.Namespace) -> ExitStatus:
    """Describe each file."""
    from nightdrop.envelope.inspection import inspect_envelope

    status = ExitStatus.DONE
    for path in arguments.files:
        facts: dict[str, object] = {"file": str(path)}
        try:
            with path.open("rb") as file:
                found = inspect_envelope(file)
        except EnvelopeError as error:
            facts["error"] = line = f"no envelope: {error.message}"
            status = ExitStatus.FAILED
        except OSError as error:
            facts["error"] = line = f"cannot be read: {error.strerror or error}"
            status = ExitStatus.FAILED
        else:
            to = [f"{entry.recipient} ({entry.key_type})" for entry in found.entries]
            facts |= _facts(found)
            too_many = f", {count(found.trailing, 'octet')} too many" if found.trailing else ""
            whole = found.complete and not found.trailing
            form = "" if found.form == "BER" else f", {found.form}"
            line = (
                f"{found.content_type}, {found.cipher}{form}, {format_size(found.size)}, "
                f"{ENDS[found.complete]}"
                f"{too_many}, "
                f"to {'; '.join(to)}"
            )
            status = status if whole else ExitStatus.FAILED
        print(json.dumps(facts) if arguments.json else f"{harmless(str(path))}: {line}")
    return status


def _facts(found: "Inspection") -> dict[str, object]:
    return {
        "form": found.form,
        "content_type": found.content_type,
        "cipher": found.cipher,
        "recipients": [str(entry.recipient) for entry in found.entries],
        "key_types": [entry.key_type for entry in found.entries],
        # What is compressed is encrypted, too: nothing outside says so.
        "compressed": None,
        "complete": found.complete,
        "trailing": found.trailing,
        "size": found.size,
    }
