"""The programs that a backup and a restore are measured against, each with everything of its own."""

import os
import subprocess
import sys
from pathlib import Path

from processes import tree_size

DUPLICITY = Path(sys.executable).with_name("duplicity")


class Restic:
    """Debian's restic, and a local repository."""

    def __init__(self, work: Path) -> None:
        self.repository = work / "repository"
        self._environment = os.environ | {
            "RESTIC_REPOSITORY": str(self.repository),
            "RESTIC_CACHE_DIR": str(work / "cache"),
            "RESTIC_PASSWORD": "bench",
        }
        self._run("init")

    def backup(self, folder: Path) -> None:
        """Another snapshot."""
        self._run("backup", folder)

    def restore(self, to: Path, only: Path | None = None) -> None:
        """The newest snapshot, or one path in it."""
        self._run("restore", "latest", "--target", to, *(["--include", only] if only else []))

    @property
    def stored(self) -> int:
        """Octets in the repository."""
        return tree_size(self.repository)

    def _run(self, *words: str | Path) -> None:
        subprocess.run(["restic", "--quiet", *words], check=True, env=self._environment)


class Stock:
    """Stock duplicity and a local folder: with a fresh key of gpg's, or as bare as it can be."""

    def __init__(self, work: Path, encrypted: bool) -> None:
        self.target = work / "target"
        self._archive = work / "archive"
        home = work / "gnupg"
        self._environment = os.environ | {"GNUPGHOME": str(home), "LC_ALL": "C.UTF-8"}
        self._options = ["--no-print-statistics", "--archive-dir", str(self._archive)]
        if not encrypted:
            self._options += ["--no-encryption", "--no-compression"]
            return
        self._options += ["--encrypt-key", "bench", "--gpg-options=--trust-model=always", "--use-agent"]
        home.mkdir(mode=0o700)
        generate = ["--quick-gen-key", "bench", "rsa3072", "encr"]
        words = ["gpg", "--batch", "--quiet", "--passphrase", "", *generate]
        subprocess.run(words, check=True, env=self._environment)

    def backup(self, folder: Path, action: str = "full") -> None:
        """A set."""
        self._run(action, *self._options, folder, f"file://{self.target}")

    def restore(self, to: Path, only: Path | None = None) -> None:
        """The newest state, or one path in it, below the folder that was backed up."""
        which = ["--path-to-restore", only] if only else []
        self._run("restore", *self._options, *which, f"file://{self.target}", to)

    @property
    def stored(self) -> int:
        """Octets in the folder."""
        return tree_size(self.target)

    def close(self) -> None:
        """Stop the agent that gpg has started."""
        words = ["gpgconf", "--kill", "all"]
        subprocess.run(words, check=False, env=self._environment, stderr=subprocess.DEVNULL)

    def _run(self, *words: str | Path) -> None:
        subprocess.run([DUPLICITY, *words], check=True, env=self._environment, stdout=subprocess.DEVNULL)
