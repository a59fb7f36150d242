"""Dropping a file on every mirror at once: tries again, within bounds, and leaves a dead mirror alone.

A mirror is believed in one thing only: its answer to our PUT. One mirror is enough for a run to go on.
While another one takes the files, a mirror that fails may cost a run `GRACE` seconds in all; when none
does (the network is gone, the last mirror reboots), each is waited for as long as patience lasts.
"""

import hashlib
import ssl
import threading
import time
from base64 import b64encode
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

import requests
import urllib3
from requests.adapters import HTTPAdapter

from nightdrop import __version__
from nightdrop.enrolment import BundleMirror
from nightdrop.errors import NightdropError
from nightdrop.receipts import ReceiptFile
from nightdrop.text import harmless

GRACE: Final = 30.0
"""Seconds that a failing mirror may cost a run while another one answers."""

GREETING: Final = 10.0
"""Seconds that a mirror may be away when a run begins, before it counts as dead."""

_BLOCK: Final = 1024 * 1024
_ANSWER_READ: Final = 1024
_CONNECT_TIMEOUT: Final = 10.0
_ANSWER_TIMEOUT: Final = 60.0
_FIRST_DELAY: Final = 0.5
_LONGEST_DELAY: Final = 30.0
_DONE: Final = (200, 201, 204)
_WORTH_ANOTHER_TRY: Final = (408, 429, 500, 502, 503, 504)

OnBytes = Callable[[str, int], None]
"""Told of each piece sent: the mirror's name and the number of octets."""


class NoMirrorLeftError(NightdropError):
    """Every mirror has failed in this run."""


class RefusedError(Exception):
    """A mirror answered, and the answer will not change."""


class UnreachableError(Exception):
    """A mirror did not answer, or not now."""


@dataclass
class _Mirror:
    """One mirror in one run. `failure` says why it is dead, "" while it lives; `failing` whether it is
    being waited for; `cost` and `outage` are seconds, see `Mirrors._gives_up`.
    """

    facts: BundleMirror
    session: requests.Session
    failure: str = ""
    failing: bool = False
    cost: float = 0.0
    outage: float = 0.0


class Mirrors:
    """All mirrors of a host, in one run."""

    def __init__(
        self,
        host: str,
        mirrors: tuple[BundleMirror, ...],
        scratch: Path,
        patience: float,
        on_bytes: OnBytes = lambda _mirror, _octets: None,
    ) -> None:
        """`scratch` takes the certificates that TLS is pinned to; `patience` is in seconds."""
        self._host = host
        self._patience = patience
        self._on_bytes = on_bytes
        self._lock = threading.Lock()
        self._mirrors = [
            _Mirror(facts, _session(facts, scratch / f"mirror-{number}.pem"))
            for number, facts in enumerate(mirrors)
        ]
        self._pool = ThreadPoolExecutor(len(self._mirrors), thread_name_prefix="mirror")

    @property
    def failures(self) -> dict[str, str]:
        """The dead mirrors, and what each died of."""
        return {mirror.facts.name: mirror.failure for mirror in self._mirrors if mirror.failure}

    @property
    def living(self) -> list[str]:
        """The names of the mirrors that are not dead."""
        return [mirror.facts.name for mirror in self._mirrors if not mirror.failure]

    def bury(self, failures: dict[str, str]) -> None:
        """Take these mirrors for dead, because another part of the run saw them fail."""
        for mirror in self._mirrors:
            mirror.failure = mirror.failure or failures.get(mirror.facts.name, "")

    def greet(self) -> None:
        """Ask every mirror whether it is there and takes our password; mark those that are not.

        Raises NoMirrorLeftError if none is.
        """
        patience = min(GREETING, self._patience)
        list(self._pool.map(lambda one: self._persist(one, self._options, patience), self._mirrors))
        self._require_one()

    def drop(
        self, path: Path, name: str, only: Sequence[str] | None = None
    ) -> tuple[ReceiptFile, list[str]]:
        """Put a file on every living mirror (of `only`) under this name; its facts, and who took it.

        Returns when each mirror has taken it or is dead; raises NoMirrorLeftError if all are dead.
        """
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").digest()
        facts = ReceiptFile(name, path.stat().st_size, digest.hex())
        living = [
            mirror
            for mirror in self._mirrors
            if not mirror.failure and (only is None or mirror.facts.name in only)
        ]

        def put(mirror: _Mirror) -> None:
            self._put(mirror, path, facts)

        list(self._pool.map(lambda one: self._persist(one, put, self._patience), living))
        self._require_one()
        return facts, [mirror.facts.name for mirror in living if not mirror.failure]

    def close(self) -> None:
        """Close the connections."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        for mirror in self._mirrors:
            mirror.session.close()

    def _require_one(self) -> None:
        if not self.living:
            reasons = "; ".join(f"{name}: {why}" for name, why in self.failures.items())
            raise NoMirrorLeftError(
                f"no mirror takes the backups of {self._host} ({reasons})",
                "nothing is lost; see whether the mirrors run and are reached, then run again",
            )

    def _persist(self, mirror: _Mirror, act: Callable[[_Mirror], None], patience: float) -> None:
        """Act, again and again within bounds; mark the mirror as dead if it comes to nothing."""
        delay = _FIRST_DELAY
        while True:
            begun = time.monotonic()
            try:
                act(mirror)
            except RefusedError as error:
                mirror.failure = str(error)
                return
            except UnreachableError as error:
                if self._gives_up(mirror, time.monotonic() - begun + delay, patience):
                    mirror.failure = str(error)
                    return
            else:
                mirror.failing = False
                mirror.outage = 0.0
                return
            time.sleep(delay)
            delay = min(2 * delay, _LONGEST_DELAY)

    def _gives_up(self, mirror: _Mirror, lost: float, patience: float) -> bool:
        """Count `lost` more seconds against a failing mirror; whether that was too many."""
        with self._lock:
            mirror.failing = True
            if any(not one.failure and not one.failing for one in self._mirrors):
                mirror.cost += lost
                return mirror.cost > min(GRACE, patience)
            mirror.outage += lost
            return mirror.outage > patience

    def _options(self, mirror: _Mirror) -> None:
        self._judge(mirror, self._send(mirror, "OPTIONS", ""), "")

    def _put(self, mirror: _Mirror, path: Path, facts: ReceiptFile) -> None:
        digest = b64encode(bytes.fromhex(facts.sha256)).decode()
        headers = {
            "Content-Type": "application/octet-stream",
            # RFC 9530: the mirror compares it with what arrived.
            "Repr-Digest": f"sha-256=:{digest}:",
        }
        with path.open("rb") as file:
            body = _Counted(file, facts.size, lambda octets: self._on_bytes(mirror.facts.name, octets))
            self._judge(mirror, self._send(mirror, "PUT", facts.name, body, headers), facts.name)

    def _send(
        self,
        mirror: _Mirror,
        method: str,
        name: str,
        body: "_Counted | None" = None,
        headers: dict[str, str] | None = None,
    ) -> tuple[int, str]:
        """Send a request: the answer's status, and the beginning of what it says.

        Raises RefusedError for a wrong certificate, UnreachableError for everything else that fails.
        """
        try:
            with mirror.session.request(
                method,
                f"{mirror.facts.url}/{self._host}/{name}",
                data=body,
                headers=headers,
                timeout=(_CONNECT_TIMEOUT, _ANSWER_TIMEOUT),
                allow_redirects=False,
                # Not more of an answer is read than is shown: a hostile one may have no end.
                stream=True,
            ) as response:
                said = response.raw.read(_ANSWER_READ, decode_content=False)
                return response.status_code, said.decode("utf-8", "replace")
        except (requests.exceptions.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
            if any(isinstance(cause, ssl.SSLCertVerificationError) for cause in _causes(error)):
                raise RefusedError(
                    f"its certificate is not the one that enrolment pinned ({_reason(error)})"
                ) from error
            raise UnreachableError(_reason(error)) from error

    def _judge(self, mirror: _Mirror, answer: tuple[int, str], name: str) -> None:
        status, text = answer
        if status in _DONE:
            return
        said = harmless(text.strip().split("\n")[0], 120)
        if status in _WORTH_ANOTHER_TRY:
            raise UnreachableError(f"it answered {status} {said}".rstrip())
        if status == 401:
            raise RefusedError(f"it does not accept the password of {harmless(mirror.facts.user)}")
        if status == 409:
            raise RefusedError(f"it already has other bytes under the name {name}")
        if status == 507:
            raise RefusedError(f"it has no room left ({said})" if said else "it has no room left")
        raise RefusedError(f"it answered {status} {said}".rstrip())


class _Counted:
    """A file being sent, which tells of each piece as it is read."""

    def __init__(self, file: BinaryIO, size: int, on_bytes: Callable[[int], None]) -> None:
        self._file = file
        self._size = size
        self._on_bytes = on_bytes

    def __len__(self) -> int:
        return self._size

    def read(self, octets: int = -1) -> bytes:
        piece = self._file.read(octets)
        self._on_bytes(len(piece))
        return piece


def _session(facts: BundleMirror, pin: Path) -> requests.Session:
    session = requests.Session()
    # No proxy, .netrc or certificate authority out of the environment: only what the bundle says.
    session.trust_env = False
    session.auth = (facts.user, facts.password)
    session.headers["User-Agent"] = f"nightdrop/{__version__}"
    adapter = HTTPAdapter(max_retries=0)
    adapter.init_poolmanager(1, 1, blocksize=_BLOCK)
    session.mount("https://", adapter)
    session.mount("http://", adapter)
    if facts.certificate:
        pin.write_text(facts.certificate)
        session.verify = str(pin)
    return session


def _causes(error: BaseException) -> Iterator[BaseException]:
    """An error and what it came from, through the many layers that requests wraps things in."""
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        reason = getattr(cause, "reason", None)
        inner = reason if isinstance(reason, BaseException) else None
        cause = cause.__cause__ or cause.__context__ or inner


def _reason(error: BaseException) -> str:
    """What went wrong, in a few words."""
    texts = [cause.strerror for cause in _causes(error) if isinstance(cause, OSError) and cause.strerror]
    if not texts and isinstance(error, requests.exceptions.Timeout | urllib3.exceptions.TimeoutError):
        texts = ["it did not answer in time"]
    return harmless((texts or [type(error).__name__])[-1], 160)
