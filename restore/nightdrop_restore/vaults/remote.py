"""A vault behind the administrator's listener of a mirror, read over HTTP.

The mirror may have been broken into, so it is believed in nothing that would harm: listings are bounded
and hold only names that can exist, no redirect is followed, nothing is decompressed on the way, and a
file that is not as long as it was listed is none. What is in the files, receipts and keys tell.
"""

import io
import ssl
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, BinaryIO, Final, cast
from urllib.parse import urlsplit
from xml.parsers import expat

import requests
import urllib3
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from requests.adapters import HTTPAdapter

from nightdrop import __version__
from nightdrop.errors import VaultError
from nightdrop.names import is_host_name, parse_name
from nightdrop.text import harmless
from nightdrop.vault import StoredFile
from nightdrop_restore.vaults.copies import SilentError
from nightdrop_restore.vaults.multistatus import Listing

_BLOCK: Final = 1024 * 1024
_TIMEOUT: Final = (10.0, 60.0)
_TRIES: Final = 4
_FIRST_DELAY: Final = 0.5
_CONNECTIONS: Final = 16
_LONGEST_LISTING: Final = 512 * 1024 * 1024
_QUESTION: Final = (
    b'<?xml version="1.0" encoding="utf-8"?>\n'
    b'<propfind xmlns="DAV:"><prop><getcontentlength/><resourcetype/></prop></propfind>\n'
)
_FAILURES: Final = (requests.exceptions.RequestException, urllib3.exceptions.HTTPError, OSError)


@dataclass(frozen=True)
class Address:
    """Where a listener is and who we are there: `url` without user and slash at the end, and the
    certificate (PEM) that it must have, "" for one that a known authority vouches for.
    """

    url: str
    user: str
    password: str
    certificate: str


class RemoteVault:
    """A vault that a mirror gives out over HTTP; safe to share between threads."""

    def __init__(self, address: Address) -> None:
        self.address = address
        self._session = _session(address)
        # Of the host that was listed last: of all of them, that could be a great deal.
        self._sizes: tuple[str, dict[str, int]] = ("", {})

    def hosts(self) -> list[str]:
        """Every host that has a folder, sorted; VaultError if the mirror does not tell."""
        return sorted({name for name, _size in self._listing("/") if is_host_name(name)})

    def strays(self) -> list[str]:
        """What lies beside the hosts' folders: nobody tells that here."""
        return []

    def list(self, host: str) -> list[StoredFile]:
        """Everything in the folder of `host` that may be there at all, sorted by name."""
        found = {
            name: size for name, size in self._listing(f"/{host}/") if parse_name(name) and size >= 0
        }
        self._sizes = host, found
        return [StoredFile(name, size, 0.0) for name, size in sorted(found.items())]

    def stat(self, host: str, name: str) -> StoredFile | None:
        """The file, or None where there is none."""
        with self._head(f"/{host}/{name}") as answer:
            if answer.status_code == 404:
                return None
            return StoredFile(name, _length(answer), 0.0)

    def open(self, host: str, name: str) -> BinaryIO:
        """The file's bytes; VaultError where there is none."""
        listed, sizes = self._sizes
        file = _RemoteFile(self, f"/{host}/{name}", sizes.get(name) if listed == host else None)
        return cast(BinaryIO, io.BufferedReader(file, _BLOCK))

    def part(self, path: str, first: int) -> requests.Response:
        """The answer to a GET of a file from its octet `first` on, its content still to be read."""
        fields = {"Range": f"bytes={first}-"} if first else {}
        answer = self._ask("GET", path, fields, (206 if first else 200,))
        if first and not answer.headers.get("Content-Range", "").startswith(f"bytes {first}-"):
            answer.close()
            raise VaultError(f"{self.address.url}{path}: it gave another part than it was asked for")
        return answer

    @contextmanager
    def _head(self, path: str) -> Iterator[requests.Response]:
        answer = self._ask("HEAD", path, {}, (200, 404))
        try:
            yield answer
        finally:
            answer.close()

    def _ask(
        self, method: str, path: str, fields: dict[str, str], good: tuple[int, ...], body: bytes = b""
    ) -> requests.Response:
        """The answer, if its status is a good one; asked again where there is none at all."""
        url = self.address.url + path
        for number in range(_TRIES):
            try:
                answer = self._session.request(
                    method,
                    url,
                    data=body or None,
                    headers=fields,
                    timeout=_TIMEOUT,
                    stream=True,
                    allow_redirects=False,
                )
            except requests.exceptions.SSLError as error:
                raise VaultError(
                    f"{self.address.url}: TLS failed: {_reason(error)}",
                    "--certificate FILE pins the mirror's certificate (tls.crt in its state folder)",
                ) from error
            except _FAILURES as error:
                if number == _TRIES - 1:
                    raise SilentError(
                        f"{self.address.url} does not answer: {_reason(error)}",
                        "try again when it does; or name another vault, a disk or a folder, in its place",
                    ) from error
                time.sleep(_FIRST_DELAY * 2**number)
                continue
            if answer.status_code in good:
                return answer
            answer.close()
            raise _refused(self.address, path, answer)
        raise AssertionError("every try ends in an answer or an error")

    def _listing(self, path: str) -> Sequence[tuple[str, int]]:
        """Names below a folder with their sizes, -1 for what has none."""
        answer = self._ask("PROPFIND", path, {"Depth": "1"}, (207,), _QUESTION)
        base = urlsplit(self.address.url + path).path.rstrip("/")
        listing = Listing(base)
        octets = 0
        try:
            while piece := answer.raw.read(_BLOCK, decode_content=False):
                octets += len(piece)
                if octets > _LONGEST_LISTING:
                    raise VaultError(f"{self.address.url}{path}: its listing is longer than any can be")
                listing.feed(piece)
            listing.end()
        except (expat.ExpatError, ValueError) as error:
            raise VaultError(f"{self.address.url}{path}: its listing cannot be read: {error}") from error
        except _FAILURES as error:
            raise VaultError(f"{self.address.url}{path}: {_reason(error)}") from error
        finally:
            answer.close()
        return listing.found


class _RemoteFile(io.RawIOBase):
    """One file: read from where one is, goes on after a connection that was lost."""

    def __init__(self, vault: RemoteVault, path: str, size: int | None) -> None:
        super().__init__()
        self._vault = vault
        self._path = path
        self._at = 0
        # Python closes what was begun, too.
        self._answer: requests.Response | None = None
        self._answer = vault.part(path, 0)
        self._size = _length(self._answer)
        if size is not None and self._size != size:
            self.close()
            raise VaultError(
                f"{vault.address.url}{path}: it has {self._size} octets, and was listed with {size}"
            )

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        if start + offset != self._at:
            self._hang_up()
            self._at = max(0, start + offset)
        return self._at

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        if self._at >= self._size:
            return 0
        for number in range(_TRIES):
            try:
                if self._answer is None:
                    self._answer = self._vault.part(self._path, self._at)
                octets: bytes = self._answer.raw.read(len(buffer), decode_content=False)
                if not octets:
                    raise OSError("it ended too early")
            except _FAILURES as error:
                self._hang_up()
                if number == _TRIES - 1:
                    where = f"{self._vault.address.url}{self._path}"
                    raise VaultError(f"{where}: {_reason(error)}") from error
                time.sleep(_FIRST_DELAY * 2**number)
            else:
                octets = octets[: self._size - self._at]
                buffer[: len(octets)] = octets
                self._at += len(octets)
                return len(octets)
        raise AssertionError("every try ends in octets or an error")

    def close(self) -> None:
        self._hang_up()
        super().close()

    def _hang_up(self) -> None:
        if self._answer is not None:
            self._answer.close()
            self._answer = None


def _session(address: Address) -> requests.Session:
    session = requests.Session()
    # No proxy, .netrc or certificate authority out of the environment.
    session.trust_env = False
    session.auth = (address.user, address.password)
    session.headers.update({"User-Agent": f"nightdrop/{__version__}", "Accept-Encoding": "identity"})
    adapter = HTTPAdapter(max_retries=0)
    options: dict[str, Any] = {"blocksize": _BLOCK}
    if address.certificate:
        certificate = x509.load_pem_x509_certificate(address.certificate.encode())
        # This very certificate, whatever address it is reached by: often through a tunnel.
        options["assert_fingerprint"] = certificate.fingerprint(hashes.SHA256()).hex()
        options["ssl_context"] = ssl.create_default_context(cadata=address.certificate)
    adapter.init_poolmanager(_CONNECTIONS, _CONNECTIONS, False, **options)
    session.mount("https://", adapter)
    session.mount("http://", adapter)
    return session


def _length(answer: requests.Response) -> int:
    text = answer.headers.get("Content-Length", "")
    if not text.isascii() or not text.isdecimal() or len(text) > 18:
        raise VaultError(f"{answer.url}: it does not say how long this file is")
    return int(text)


def _refused(address: Address, path: str, answer: requests.Response) -> VaultError:
    status = answer.status_code
    if status == 401:
        return VaultError(
            f"{address.url} does not accept the password of {harmless(address.user)}",
            "`nightdrop admin-password` makes one, on the mirror",
        )
    said = f"{status} {harmless(answer.reason or '', 120)}".rstrip()
    if status in (403, 405):
        hint = "a VAULT is the administrator's listener (`[administration]` in mirror.toml), not the door"
        return VaultError(f"{address.url}{path}: it answered {said}", hint)
    return VaultError(f"{address.url}{path}: it answered {said}")


def _reason(error: BaseException) -> str:
    """What went wrong, in a few words: what is innermost knows it best."""
    said = type(error).__name__
    cause: BaseException | None = error
    while cause is not None:
        inner = getattr(cause, "reason", None)
        if isinstance(cause, OSError) and cause.strerror:
            said = cause.strerror
        elif isinstance(cause, requests.exceptions.Timeout | urllib3.exceptions.TimeoutError):
            said = "it did not answer in time"
        elif not isinstance(inner, BaseException) and str(cause):
            said = str(cause)
        cause = (
            cause.__cause__ or cause.__context__ or (inner if isinstance(inner, BaseException) else None)
        )
    return harmless(said, 160)
