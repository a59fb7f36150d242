"""What `nightdrop doctor` looks at on the administrator's machine."""

import shutil
import tempfile
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

from nightdrop.examining import Line
from nightdrop.text import format_size
from nightdrop_restore.engine import launcher  # noqa: F401  does what restores load here?


def examine(_path: Path | None) -> Iterator[Line]:
    """Whether this machine can restore, with Nightdrop and with stock tools."""
    yield Line("ok", "duplicity", version("duplicity"))
    place = tempfile.gettempdir()
    free = shutil.disk_usage(place).free
    hint = "set TMPDIR to a folder with more"
    yield Line(
        "ok" if free > 1_000_000_000 else "warn",
        "room",
        f"{format_size(free)} in {place} for volumes on their way",
        "" if free > 1_000_000_000 else hint,
    )
    for program, why in (
        ("openssl", "envelopes"),
        ("zstd", "what is in them"),
        ("gpgsm", "envelopes, too"),
    ):
        if shutil.which(program):
            yield Line("ok", program, f"is there, to open {why} without Nightdrop")
        else:
            yield Line(
                "warn",
                program,
                f"is not there, to open {why} without Nightdrop",
                f"apt install {program}",
            )
