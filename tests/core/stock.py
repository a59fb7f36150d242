"""Stock tools as an administrator has them: openssl, gpgsm, zstd."""

import os
import re
import shutil
import subprocess
import tempfile
from contextlib import suppress
from pathlib import Path
from types import TracebackType

from cryptography.hazmat.primitives import hashes

from core.keyring import Holder

from mirrors import wait_until

PASSPHRASE = b"open-sesame"


class RefusedError(Exception):
    """A tool ended with a status that was not 0."""


def run(*words: str | Path, stdin: bytes = b"", environment: dict[str, str] | None = None) -> bytes:
    """What a program makes of its input. RefusedError if it fails; it has to be there."""
    assert shutil.which(words[0]), f"{words[0]} is needed"
    around = os.environ | (environment or {})
    done = subprocess.run(words, input=stdin, capture_output=True, timeout=300, env=around, check=False)
    if done.returncode != 0:
        raise RefusedError(done.stderr.decode(errors="replace"))
    return done.stdout


def unpack(content: bytes) -> bytes:
    """The end of every escape hatch."""
    return run("zstd", "-dcf", stdin=content)


def gpgsm_version() -> tuple[int, int]:
    """Of the one that is installed, such as (2, 4)."""
    said = re.match(rb"gpgsm \(GnuPG\) ([0-9]+)\.([0-9]+)\.", run("gpgsm", "--version"))
    assert said, "gpgsm says which version it is"
    return int(said[1]), int(said[2])


class Gpgsm:
    """A home for gpgsm, in which somebody who knows PASSPHRASE sits at the keyboard."""

    def __init__(self) -> None:
        # A short path: the agent's socket lies in it, and a socket's path has 108 octets at most.
        self.home = Path(tempfile.mkdtemp(prefix="gpgsm-", dir="/tmp"))
        self.environment = {"GNUPGHOME": str(self.home), "LC_ALL": "C.UTF-8"}
        pinentry = self.home / "pinentry"
        pinentry.write_text(_PINENTRY)
        pinentry.chmod(0o700)
        (self.home / "gpg-agent.conf").write_text(f"pinentry-program {pinentry}\n")
        # No network, and no question that would need an answer.
        (self.home / "gpgsm.conf").write_text("batch\ndisable-crl-checks\n")

    def __enter__(self) -> "Gpgsm":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        run("gpgconf", "--kill", "all", environment=self.environment)
        # They end in their own time, and write until then.
        wait_until(lambda: not self._daemons(), "gpgsm's daemons end")
        shutil.rmtree(self.home)

    def _daemons(self) -> list[str]:
        """The processes that gpgsm has started for this home."""
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                if os.fsencode(self.home) in (folder / "cmdline").read_bytes():
                    found.append(folder.name)
        return found

    def know(self, certificate: bytes) -> None:
        """Import a certificate (PEM)."""
        self.run("--import", stdin=certificate)

    def own(self, holder: Holder) -> None:
        """Import a private key with its certificate, and trust it."""
        fingerprint = holder.certificate.fingerprint(hashes.SHA1()).hex().upper()
        with (self.home / "trustlist.txt").open("a") as trusted:
            trusted.write(f"{fingerprint} S relax\n")
        for attempt in range(PKCS12_ATTEMPTS):
            try:
                self.run("--import", stdin=_pkcs12(holder))
            except RefusedError:
                if attempt == PKCS12_ATTEMPTS - 1:
                    raise
            else:
                return

    def run(self, *words: str, stdin: bytes = b"") -> bytes:
        """What gpgsm makes of its input; RefusedError if its status is not 0."""
        return run("gpgsm", *words, stdin=stdin, environment=self.environment)


PKCS12_ATTEMPTS = 4
"""gpgsm 2.2 cannot read one PKCS#12 file in 70, whoever made it; made again, with another salt, it can.

Measured: 27 of 1,883 files of openssl's.
"""

_PINENTRY = f"""\
#!/bin/sh
echo OK
while read -r word rest; do
    case $word in GETPIN) echo "D {PASSPHRASE.decode()}" ;; esac
    echo OK
    [ "$word" != BYE ] || exit 0
done
"""


def _pkcs12(holder: Holder) -> bytes:
    """Key and certificate in the one form that every gpgsm imports."""
    form = ["-certpbe", "PBE-SHA1-3DES", "-keypbe", "PBE-SHA1-3DES", "-macalg", "sha1"]
    both = holder.private_pem + holder.certificate_pem
    return run(
        "openssl", "pkcs12", "-export", *form, "-passout", f"pass:{PASSPHRASE.decode()}", stdin=both
    )
