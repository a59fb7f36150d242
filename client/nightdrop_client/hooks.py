"""Hooks: an administrator's own commands before a backup, after it, and when it failed."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from nightdrop.errors import NightdropError
from nightdrop.interrupts import held_back
from nightdrop.text import format_duration


@dataclass(frozen=True)
class Hooks:
    """Commands as lists of words, empty for none; no shell reads them. `patience` is in seconds: a hook
    that takes longer is killed, and has failed. What they print goes to standard error.
    """

    before: tuple[str, ...]
    after: tuple[str, ...]
    failure: tuple[str, ...]
    patience: int

    @contextmanager
    def around(self, facts: dict[str, str]) -> Iterator[list[str]]:
        """Run the block between `before` and `after`.

        Raises NightdropError, and does not enter the block, if `before` fails. `after` runs in any case,
        so that it can undo what `before` did. If it fails, what is said of that is put into the list.
        """
        problems: list[str] = []
        try:
            self._run("before", self.before, facts)
            yield problems
        finally:
            try:
                self._run("after", self.after, facts)
            except NightdropError as error:
                problems.append(error.message)

    @contextmanager
    def on_failure(self, facts: dict[str, str]) -> Iterator[None]:
        """Run `failure` if the block raises; how that goes does not matter any more."""
        try:
            yield
        except BaseException as error:
            with suppress(NightdropError):
                why = str(error) or type(error).__name__
                self._run("failure", self.failure, facts | {"NIGHTDROP_ERROR": why})
            raise

    def _run(self, name: str, command: tuple[str, ...], facts: dict[str, str]) -> None:
        if not command:
            return
        environment = os.environ | facts | {"NIGHTDROP_HOOK": name}
        try:
            with _begun(command, environment) as process:
                status = process.wait(self.patience)
        except subprocess.TimeoutExpired as error:
            raise NightdropError(
                f"the hook `{name}` took longer than {format_duration(self.patience)}",
                "give it more time with `hooks.patience` in client.toml",
            ) from error
        except OSError as error:
            raise NightdropError(
                f"the hook `{name}` cannot be started: {command[0]}: {error.strerror}"
            ) from error
        if status:
            raise NightdropError(
                f"the hook `{name}` failed with status {status}",
                f"its command is: {' '.join(command)}",
            )


@contextmanager
def _begun(command: tuple[str, ...], environment: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    """A hook's process, which does not outlive the block, though a signal comes while it is started."""
    process = None
    try:
        with held_back():
            process = subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stdout=2)
        yield process
    finally:
        if process is not None:
            process.kill()
            process.wait()
