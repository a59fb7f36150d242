"""PROPFIND and OPTIONS, answered by wsgidav from a provider that can only list.

wsgidav never sees another method, so what it would do with a PUT or a GET is no concern; should it ever,
these resources have no content to give and nothing to write to.
"""

import io
import logging
from collections.abc import Callable
from contextlib import ExitStack
from http import HTTPStatus
from typing import Any, Final

from wsgidav.dav_error import HTTP_FORBIDDEN, DAVError
from wsgidav.dav_provider import DAVCollection, DAVNonCollection, DAVProvider
from wsgidav.error_printer import ErrorPrinter
from wsgidav.request_resolver import RequestResolver
from wsgidav.wsgidav_app import WsgiDAVApp

from nightdrop.vault import FolderVault, StoredFile
from nightdrop_server.answers import ALLOW, Answer, Refused
from nightdrop_server.heads import Head
from nightdrop_server.listings import Listings
from nightdrop_server.targets import Place

MAX_BODY: Final = 64 * 1024
"""Longest PROPFIND body, in octets: it only names properties."""

ALL: Final = 10
"""So much is asked of each file by whoever names no property."""

_TOO_DEEP: Final = (
    b'<?xml version="1.0" encoding="utf-8"?>\n'
    b'<D:error xmlns:D="DAV:"><D:propfind-finite-depth/></D:error>\n'
)

# What it has to say is in its answers; without this Python prints its warnings to standard error.
logging.getLogger("wsgidav").addHandler(logging.NullHandler())
logging.getLogger("wsgidav").propagate = False


class Dav:
    """PROPFIND and OPTIONS for one vault, whose URLs begin with `prefix`.

    Every property asked for is answered for every file, the unknown ones, too, and each answer costs time
    and memory: `most` of them are given at once.
    """

    def __init__(self, vault: FolderVault, prefix: str, most: int) -> None:
        self._vault = vault
        self._most = most
        self._listings = Listings(vault)
        self._app = WsgiDAVApp(
            {
                "provider_mapping": {"/": _Provider(vault)},
                "mount_path": prefix or None,
                "middleware_stack": [ErrorPrinter, RequestResolver],
                "lock_storage": None,
                "property_manager": None,
                "logging": {"enable": False},
                "verbose": 1,
            }
        )

    def answer(self, head: Head, place: Place, body: bytes, turn: ExitStack) -> Answer:
        """The answer to a PROPFIND or OPTIONS of a place that its asker may see, in this turn."""
        if head.method not in ("PROPFIND", "OPTIONS"):
            raise AssertionError(f"{head.method} is not for wsgidav")
        if head.method == "PROPFIND" and head.fields.get("depth", "infinity") not in ("0", "1"):
            # RFC 4918, section 9.1: without a Depth field it is infinity.
            return Answer(
                HTTPStatus.FORBIDDEN,
                (("Content-Type", "application/xml; charset=utf-8"),),
                _TOO_DEEP,
                "PROPFIND needs Depth: 0 or 1",
            )
        if head.method == "OPTIONS":
            return self._run(_environ(head, place, body), head.method)
        question = (place.name, head.fields["depth"], body)
        return self._listings.answer(place.host, question, lambda: self._look(head, place, body), turn)

    def _look(self, head: Head, place: Place, body: bytes) -> Answer:
        """The answer to a PROPFIND, worked out."""
        files = self._vault.count(place.host) if not place.name and head.fields["depth"] == "1" else 1
        # No property is named without an opening bracket.
        if files * max(ALL, body.count(b"<")) > self._most:
            raise Refused(HTTPStatus.FORBIDDEN, f"too much is asked at once of {files:,} files")
        return self._run(_environ(head, place, body), head.method)

    def _run(self, environ: dict[str, object], method: str) -> Answer:
        started: list[tuple[str, list[tuple[str, str]]]] = []

        def start_response(
            status: str, fields: list[tuple[str, str]], _error: object = None
        ) -> Callable[[bytes], None]:
            started.append((status, fields))
            return lambda _octets: None

        body = b"".join(self._app(environ, start_response))
        status, fields = started[-1]
        if (code := HTTPStatus(int(status[:3]))) >= HTTPStatus.INTERNAL_SERVER_ERROR:
            raise Refused(code, "the folder could not be listed")
        ours = ("allow", "content-length", "date", "connection", "accept-ranges", "ms-author-via")
        kept = tuple((name, value) for name, value in fields if name.lower() not in ours)
        return Answer(code, (kept + ALLOW) if method == "OPTIONS" else kept, body)


def _environ(head: Head, place: Place, body: bytes) -> dict[str, object]:
    """The WSGI environment of a request, with nothing in it that wsgidav does not need."""
    environ: dict[str, object] = {
        "REQUEST_METHOD": head.method,
        "SCRIPT_NAME": "",
        "PATH_INFO": f"/{place.host}/{place.name}",
        "QUERY_STRING": "",
        "CONTENT_LENGTH": str(len(body)),
        "CONTENT_TYPE": "application/xml",
        "SERVER_NAME": "nightdrop",
        "SERVER_PORT": "0",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(body),
        "wsgi.errors": io.StringIO(),
        "wsgidav.auth.user_name": place.host,
    }
    if "depth" in head.fields:
        environ["HTTP_DEPTH"] = head.fields["depth"]
    return environ


class _Provider(DAVProvider):  # type: ignore[misc]
    """The vault, one host's folder at a time: the door lets nobody ask for another's."""

    def __init__(self, vault: FolderVault) -> None:
        super().__init__()
        self.verbose = 0
        self._vault = vault

    def is_readonly(self) -> bool:
        return True

    def get_resource_inst(self, path: str, environ: dict[str, Any]) -> Any:
        host, _, name = path.strip("/").partition("/")
        if not name:
            return _Folder(self._vault, host, environ)
        file = self._vault.stat(host, name)
        return _File(f"/{host}/{name}", environ, file) if file is not None and file.regular else None


class _Folder(DAVCollection):  # type: ignore[misc]
    def __init__(self, vault: FolderVault, host: str, environ: dict[str, Any]) -> None:
        super().__init__(f"/{host}", environ)
        self._vault = vault
        self._host = host

    def get_member_list(self) -> list["_File"]:
        files = self._vault.list(self._host)
        return [_File(f"{self.path}/{file.name}", self.environ, file) for file in files if file.regular]

    def get_member_names(self) -> list[str]:
        return [file.name for file in self._vault.list(self._host) if file.regular]

    def get_member(self, name: str) -> Any:
        return self.provider.get_resource_inst(f"{self.path}/{name}", self.environ)


class _File(DAVNonCollection):  # type: ignore[misc]
    def __init__(self, path: str, environ: dict[str, Any], file: StoredFile) -> None:
        super().__init__(path, environ)
        self._file = file

    def get_content_length(self) -> int:
        return self._file.size

    def get_content_type(self) -> str:
        return "application/octet-stream"

    def get_last_modified(self) -> float:
        return self._file.changed

    def get_etag(self) -> None:
        return None

    def support_etag(self) -> bool:
        return False

    def support_ranges(self) -> bool:
        return False

    def get_content(self) -> Any:
        raise DAVError(HTTP_FORBIDDEN)
