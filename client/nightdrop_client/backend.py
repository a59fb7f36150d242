"""The backend that duplicity drops through: to all mirrors at once, and with no way to read back.

duplicity asks a backend what is there and takes the answer for the truth: what is not listed, it
deletes locally. So the answer comes from the drop log: only sets that were finished, whose local
metadata is all there. No mirror is ever asked.
"""

import os
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from duplicity.backend import Backend, ParsedUrl, register_backend
from duplicity.errors import BackendException, FatalBackendException
from duplicity.path import Path as DuplicityPath

from nightdrop.errors import NightdropError
from nightdrop.names import FileName, SetKey, parse_name
from nightdrop_client.droplog import DropLog
from nightdrop_client.job import SCHEME
from nightdrop_client.mirrors import Mirrors, NoMirrorLeftError


class Dropper:
    """Drops files and writes down that it did. `keys` are the sets it dropped anything of.

    While a volume is on its way, duplicity makes the next one, and while the signatures are, it puts its
    own copy of them in place. The manifest waits for everything to be there.
    """

    def __init__(
        self, mirrors: Mirrors, log: DropLog, scratch: Path, on_drop: Callable[[str], None]
    ) -> None:
        self._mirrors = mirrors
        self._log = log
        self._underway = scratch / "underway"
        self._on_drop = on_drop
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="drop")
        self._dropping: Future[None] | None = None
        self.keys: set[SetKey] = set()

    def drop(self, path: Path, file: FileName) -> None:
        """Put a file on the mirrors and in the log; NoMirrorLeftError if no mirror took it, or the one
        before it.
        """
        self.keys.add(file.set)
        if self._dropping is not None:
            self._dropping.result()
            self._dropping = None
        if file.part not in ("volume", "signatures"):
            self._drop(path, file)
            return
        # duplicity removes its own name of the file at once.
        self._underway.unlink(missing_ok=True)
        self._underway.hardlink_to(path)
        self._dropping = self._pool.submit(self._drop, self._underway, file)

    def _drop(self, path: Path, file: FileName) -> None:
        facts, takers = self._mirrors.drop(path, file.name)
        self._log.record(takers, file.set, facts)
        self._on_drop(file.name)


def register(dropper: Dropper | None, log: DropLog) -> None:
    """Make `nightdrop:` a scheme that duplicity knows, behind which this dropper stands, if one does."""

    class MirrorsBackend(Backend):  # type: ignore[misc]
        def __init__(self, parsed_url: ParsedUrl) -> None:
            super().__init__(parsed_url)

        def _put(self, source_path: DuplicityPath, remote_filename: bytes) -> None:
            file = parse_name(os.fsdecode(remote_filename))
            if file is None or dropper is None:
                raise FatalBackendException(f"duplicity may not drop this: {remote_filename!r}")
            try:
                dropper.drop(Path(os.fsdecode(source_path.name)), file)
            except NoMirrorLeftError as error:
                raise FatalBackendException(error.message) from error
            except NightdropError as error:
                raise BackendException(error.message) from error

        def _list(self) -> list[str]:
            return [name for done in log.sets() for name in log.files(done.key)]

        def _get(self, remote_filename: bytes, _local_path: DuplicityPath) -> None:
            raise FatalBackendException(f"a client reads nothing back: {os.fsdecode(remote_filename)}")

    register_backend(SCHEME, MirrorsBackend)
