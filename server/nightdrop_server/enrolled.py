"""Who is enrolled, asked on every request: each enrolment file is read again when it has changed."""

from pathlib import Path

from nightdrop.enrolment import EnrolledHost, load_host
from nightdrop.errors import ConfigurationError


class Enrolled:
    """The enrolled hosts in one folder; safe to share between threads."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._known: dict[str, tuple[tuple[int, ...], EnrolledHost]] = {}

    def knows(self, name: str) -> bool:
        """Whether there is an enrolment of this host, good or not."""
        return (self._folder / f"{name}.toml").exists()

    def host(self, name: str) -> EnrolledHost:
        """A host as it is enrolled now; ConfigurationError if it is not, or its file is no good.

        Only for the name of a host that has proved who it is: what is known is remembered.
        """
        path = self._folder / f"{name}.toml"
        try:
            status = path.stat()
        except OSError as error:
            self._known.pop(name, None)
            raise ConfigurationError(f"{path}: cannot read this enrolment: {error.strerror}") from error
        seen = (status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
        known = self._known.get(name)
        if known is None or known[0] != seen:
            known = seen, load_host(path)
            self._known[name] = known
        return known[1]
