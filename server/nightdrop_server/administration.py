"""The administrator's listener, which does what the door never does: it gives backups out, lists all of
the vault and tells Prometheus how the mirror is. It takes nothing in.

It is on loopback or a private address and has passwords of its own: `admin` may see everything, `metrics`
only /metrics, `peer`, another mirror, only /inventory. What it gives out is as sealed as it came.
"""

from http import HTTPStatus
from typing import Final
from xml.sax.saxutils import escape

from nightdrop.ledger import Ledger
from nightdrop.mirror import Mirror
from nightdrop.names import is_host_name
from nightdrop.text import harmless
from nightdrop.vault import MOST_FILES, FolderVault
from nightdrop_server.answers import Answer, Fields, Refused
from nightdrop_server.check_files import written_by_check
from nightdrop_server.credentials import known_user
from nightdrop_server.dav import ALL, MAX_BODY, Dav
from nightdrop_server.facts import Facts
from nightdrop_server.failures import answered
from nightdrop_server.giving import give
from nightdrop_server.metrics import CONTENT_TYPE, Counters, metrics_text
from nightdrop_server.passwords import Passwords
from nightdrop_server.request import Request
from nightdrop_server.targets import Place, find_place

ADMIN: Final = "admin"
METRICS: Final = "metrics"
PEER: Final = "peer"
THREADS: Final = 16

# What a restore asks of as many files as a host may have.
_MOST_TOLD: Final = ALL * (MOST_FILES + 1)

_ALLOW: Fields = (("Allow", "GET, HEAD, OPTIONS, PROPFIND"),)
_METHODS = ("GET", "HEAD", "OPTIONS", "PROPFIND")


class Administration:
    """One mirror's administrator's listener; called with a request, it gives the answer. Safe to share
    between threads.
    """

    def __init__(self, mirror: Mirror, counters: Counters) -> None:
        self._mirror = mirror
        self._vault = FolderVault(mirror.vault)
        self._ledger = Ledger.reading(mirror.ledger)
        self._passwords = Passwords(mirror.administrators)
        self._dav = Dav(self._vault, "", _MOST_TOLD)
        self._counters = counters
        self._facts = Facts(mirror, self._vault, self._ledger)

    def __call__(self, request: Request) -> Answer:
        """The answer to a request; every failure has one."""
        return answered(self._answer, request)

    def close(self) -> None:
        """Close the ledger."""
        self._ledger.close()

    def _answer(self, request: Request) -> Answer:
        head = request.head
        if head.method not in _METHODS:
            raise Refused(
                HTTPStatus.METHOD_NOT_ALLOWED, "this is the administrator's: it takes nothing in", _ALLOW
            )
        user = known_user(request, self._passwords)
        # No host is called so: what stands in the log is not mistaken for one.
        request.host = f"@{user}"
        request.patient = True
        if head.target == "/metrics" and user != PEER and head.method in ("GET", "HEAD"):
            text = metrics_text(self._mirror, self._facts, self._counters)
            octets = text.encode() + written_by_check(self._mirror.check_metrics)
            return Answer(HTTPStatus.OK, (("Content-Type", CONTENT_TYPE),), octets)
        if head.target == "/inventory" and user != METRICS and head.method in ("GET", "HEAD"):
            return self._inventory()
        if user != ADMIN:
            only = "/metrics" if user == METRICS else "/inventory"
            raise Refused(HTTPStatus.FORBIDDEN, f"{user} may only see {only}")
        place = Place("", "") if head.target == "/" else find_place(head.target, "")
        if head.method in ("OPTIONS", "PROPFIND"):
            return self._look(request, place)
        return self._give(request, place)

    def _inventory(self) -> Answer:
        octets = written_by_check(self._mirror.inventory)
        if not octets:
            raise Refused(HTTPStatus.NOT_FOUND, "`nightdrop check` has not looked yet")
        return Answer(HTTPStatus.OK, (("Content-Type", "application/json"),), octets)

    def _give(self, request: Request, place: Place) -> Answer:
        if not place.host:
            return _lines([f"{host}/" for host in self._hosts()])
        if not place.name:
            self._must_exist(place.host)
            return _lines([file.name for file in self._vault.list(place.host) if file.regular])
        file = self._vault.stat(place.host, place.name)
        if file is None or not file.regular:
            raise Refused(HTTPStatus.NOT_FOUND, "there is no such file")
        drop = self._ledger.drop(place.host, place.name)
        return give(self._vault, place, file, drop, request.head)

    def _look(self, request: Request, place: Place) -> Answer:
        body = request.body.all(MAX_BODY)
        if place.host:
            self._must_exist(place.host)
            answer = self._dav.answer(request.head, place, body, request.turn)
        elif request.head.method == "OPTIONS":
            answer = Answer(HTTPStatus.OK, (("DAV", "1"),))
        else:
            return _listing(self._hosts(), request.head.fields.get("depth", "infinity"))
        if request.head.method == "PROPFIND":
            return answer
        kept = tuple(field for field in answer.fields if field[0].lower() != "allow")
        return Answer(answer.status, kept + _ALLOW, answer.body)

    def _hosts(self) -> list[str]:
        return list(filter(is_host_name, self._vault.hosts()))

    def _must_exist(self, host: str) -> None:
        if host not in self._vault.hosts():
            raise Refused(HTTPStatus.NOT_FOUND, "there is no such host")


def _lines(names: list[str]) -> Answer:
    body = "".join(f"{harmless(name)}\n" for name in names).encode()
    return Answer(HTTPStatus.OK, (("Content-Type", "text/plain; charset=utf-8"),), body)


def _listing(hosts: list[str], depth: str) -> Answer:
    """The answer to a PROPFIND of the vault itself: a folder with the hosts' (RFC 4918, section 9.1)."""
    if depth not in ("0", "1"):
        raise Refused(HTTPStatus.FORBIDDEN, "PROPFIND needs Depth: 0 or 1")
    paths = ["/", *(f"/{host}/" for host in hosts if depth == "1")]
    responses = "".join(
        f"<D:response><D:href>{escape(path)}</D:href><D:propstat><D:prop>"
        f"<D:displayname>{escape(path.strip('/'))}</D:displayname>"
        "<D:resourcetype><D:collection/></D:resourcetype></D:prop>"
        "<D:status>HTTP/1.1 200 OK</D:status></D:propstat></D:response>\n"
        for path in paths
    )
    prolog = '<?xml version="1.0" encoding="utf-8"?>\n'
    body = f'{prolog}<D:multistatus xmlns:D="DAV:">\n{responses}</D:multistatus>\n'
    fields = (("Content-Type", "application/xml; charset=utf-8"),)
    return Answer(HTTPStatus.MULTI_STATUS, fields, body.encode())
