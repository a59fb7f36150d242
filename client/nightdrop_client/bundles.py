"""Where this host's bundle is: a file or, encrypted for this machine, one of systemd's credentials.

`install.sh client` makes it that where systemd can encrypt (systemd-creds(1)), as `nightdrop-JOB.bundle`.
In the timer's service systemd has decrypted it into $CREDENTIALS_DIRECTORY; for a run by hand it does so
when asked.
"""

import os
import subprocess
from pathlib import Path
from typing import Final

from nightdrop.enrolment import Bundle, load_bundle, parse_bundle
from nightdrop.errors import ConfigurationError
from nightdrop.text import harmless

_ENCRYPTED: Final = Path("/etc/credstore.encrypted")


def find_bundle(named: Path, job: str) -> Path:
    """Where the bundle of a job is: the file that its configuration names if that is there, or else the
    credential.
    """
    credential = f"nightdrop-{job}.bundle"
    passed = Path(os.environ.get("CREDENTIALS_DIRECTORY", "/nowhere"), credential)
    places = (named, passed, _ENCRYPTED / credential)
    return next((place for place in places if os.path.lexists(place)), named)


def read_bundle(path: Path) -> Bundle:
    """The bundle there; ConfigurationError says what is wrong with it."""
    if path.parent != _ENCRYPTED:
        return load_bundle(path)
    command = ["systemd-creds", "decrypt", f"--name={path.name}", str(path), "-"]
    try:
        done = subprocess.run(command, capture_output=True, check=False)
    except OSError as error:
        raise _unreadable(path, f"systemd-creds: {error.strerror}") from error
    if done.returncode:
        raise _unreadable(path, harmless(done.stderr.decode(errors="replace").strip(), 200))
    return parse_bundle(done.stdout, path)


def _unreadable(path: Path, why: str) -> ConfigurationError:
    return ConfigurationError(
        f"{path}: cannot decrypt this bundle: {why}",
        "only root can, on the machine it was encrypted on; elsewhere: `nightdrop enroll HOST --again`",
    )
