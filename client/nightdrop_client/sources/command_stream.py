"""What a command prints, as a file that duplicity reads once, from its beginning to its end.

Nothing of it is ever on a disk of this host. Its end is believed only if the command ended well: a pipe
that is closed looks like the end of a file, whatever the reason.
"""

import fcntl
import os
import select
import shutil
import signal
import subprocess
import tempfile
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Final

from nightdrop.text import format_duration, harmless
from nightdrop_client.sources.programs import ending_with_us
from nightdrop_client.sources.ready import Stream
from nightdrop_client.sources.secrets import StreamSecrets

_PIPE_SIZE: Final = 1024 * 1024
_TAIL: Final = 1024
"""Octets at the end of the output in which `ends_with` has to stand."""

_SAID: Final = 4096
"""Octets of standard error, at its end, that are kept."""


class CommandStream:
    """A file to read. `failure` says why it is not whole, "" if it is or has not ended yet; `said` is the
    end of what the command printed to standard error; `octets` have been read so far.
    """

    def __init__(
        self, stream: Stream, secrets: StreamSecrets, scratch: Path, outside: Sequence[str]
    ) -> None:
        """Start the command. `scratch` takes the secrets that it wants as files, for its time only;
        `outside` are words to put before the command.
        """
        self.name = stream.place
        self.failure = ""
        self.said = ""
        self.octets = 0
        self._stream = stream
        self._secrets = secrets
        self._tail = b""
        self._process: subprocess.Popen[bytes] | None = None
        self._files = Path(tempfile.mkdtemp(prefix="secrets-", dir=scratch))
        try:
            environment = stream.environment | secrets.variables | self._secret_files(secrets.files)
            self._start(environment, outside)
        except OSError as error:
            self.failure = f"{harmless(stream.command[0])} cannot be started: {error.strerror}"
            self._clean()

    def read(self, length: int = -1) -> bytes:
        """So many octets, fewer only at the end: a short piece is how duplicity knows the end."""
        pieces, got = [], 0
        while self._process is not None and (length < 0 or got < length):
            piece = self._piece(_PIPE_SIZE if length < 0 else min(length - got, _PIPE_SIZE))
            pieces.append(piece)
            got += len(piece)
        self.octets += got
        return b"".join(pieces)

    def close(self) -> None:
        """End the command, if that is still under way; then it is not whole."""
        if self._process is not None:
            self._end("its output was not read to the end")

    def _secret_files(self, secrets: Mapping[str, str]) -> dict[str, str]:
        """Write these secrets into files that only their owner can read: variables with their paths."""
        paths = {}
        for name, secret in secrets.items():
            path = self._files / name
            path.touch(0o600)
            path.write_text(secret)
            paths[name] = str(path)
        return paths

    def _start(self, environment: dict[str, str], outside: Sequence[str]) -> None:
        command = self._stream.command
        if shutil.which(command[0], path=environment.get("PATH")) is None:
            raise FileNotFoundError(2, "there is no such program")
        self._process = subprocess.Popen(
            ending_with_us([*outside, *command]),
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
            process_group=0,
        )
        assert self._process.stdout is not None
        assert self._process.stderr is not None
        with suppress(OSError):
            fcntl.fcntl(self._process.stdout, fcntl.F_SETPIPE_SZ, _PIPE_SIZE)
        self._listener = threading.Thread(target=self._listen, args=(self._process.stderr,), daemon=True)
        self._listener.start()

    def _listen(self, pipe: IO[bytes]) -> None:
        """Keep the end of what the command says."""
        kept = b""
        with pipe, suppress(OSError, ValueError):
            while piece := os.read(pipe.fileno(), _SAID):
                kept = (kept + piece)[-_SAID:]
                self.said = self._secrets.without(kept.decode("utf-8", "replace"))

    def _piece(self, length: int) -> bytes:
        """The next piece of the output, b"" at its end; ends the command then, or when it hangs."""
        assert self._process is not None
        assert self._process.stdout is not None
        ready, _, _ = select.select([self._process.stdout], [], [], self._stream.patience)
        if not ready:
            self._end(f"it printed nothing for {format_duration(self._stream.patience)}")
            return b""
        piece = os.read(self._process.stdout.fileno(), length)
        self._tail = (self._tail + piece)[-_TAIL:]
        if not piece:
            self._end("")
        return piece

    def _end(self, failure: str) -> None:
        """Wait for the command, or kill it if it has failed already; judge how it ended."""
        assert self._process is not None
        process, self._process = self._process, None
        assert process.stdout is not None
        process.stdout.close()
        if not failure:
            try:
                failure = self._judge(process.wait(self._stream.patience))
            except subprocess.TimeoutExpired:
                failure = f"it did not end within {format_duration(self._stream.patience)}"
        if failure:
            # Whatever it has started and left behind goes with it.
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        self._listener.join(5)
        last = self.said.strip().split("\n")[-1]
        self.failure = failure + (f": {harmless(last, 160)}" if failure and last else "")
        self._clean()

    def _judge(self, status: int) -> str:
        if status < 0:
            return f"it was killed by signal {-status}"
        if status:
            return f"it ended with status {status}"
        if self._stream.ends_with.encode() not in self._tail:
            return f"its output does not end with {self._stream.ends_with!r}"
        return ""

    def _clean(self) -> None:
        shutil.rmtree(self._files, ignore_errors=True)
