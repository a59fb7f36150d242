"""The door: who asks for what, where, and what the answer is (DESIGN.md's policy table, in code).

Every question that can be answered without the body is answered without it, in this order: the method,
the password, the place, the header fields, the name, the room. Only then is a byte of it read.
"""

from collections.abc import Callable
from http import HTTPStatus
from typing import Final

from nightdrop.enrolment import EnrolledHost
from nightdrop.errors import ConfigurationError
from nightdrop.ledger import Ledger
from nightdrop.mirror import Mirror
from nightdrop.vault import FolderVault
from nightdrop_server import log
from nightdrop_server.answers import ALLOW, Answer, Refused
from nightdrop_server.credentials import known_user
from nightdrop_server.dav import MAX_BODY, Dav
from nightdrop_server.drop import Storeroom, drop
from nightdrop_server.enrolled import Enrolled
from nightdrop_server.failures import answered
from nightdrop_server.origin import origin
from nightdrop_server.passwords import Passwords
from nightdrop_server.request import Request
from nightdrop_server.room import Room
from nightdrop_server.shares import Shares
from nightdrop_server.targets import Place, find_place, url_prefix
from nightdrop_server.turns import Turns

_MOST_TOLD: Final = 500_000


class Door:
    """One mirror's door; called with a request, it gives the answer. Safe to share between threads."""

    def __init__(self, mirror: Mirror) -> None:
        vault = FolderVault(mirror.vault)
        self._mirror = mirror
        self._store = Storeroom(vault, Ledger(mirror.ledger), Room(mirror, vault), Shares())
        self._passwords = Passwords(mirror.passwords)
        self._enrolled = Enrolled(mirror.hosts)
        self._turns = Turns(mirror.requests)
        self._prefix = url_prefix(mirror)
        self._dav = Dav(vault, self._prefix, _MOST_TOLD)
        self._methods: dict[str, Callable[[Request, Place, EnrolledHost], Answer]] = {
            "PUT": self._put,
            "PROPFIND": self._look,
            "OPTIONS": self._look,
        }

    def __call__(self, request: Request) -> Answer:
        """The answer to a request; every failure has one."""
        return answered(self._answer, request)

    def close(self) -> None:
        """Close the ledger."""
        self._store.ledger.close()

    def _answer(self, request: Request) -> Answer:
        request.address = origin(request.address, request.head.fields, self._mirror.proxies)
        method = self._methods.get(request.head.method)
        if method is None:
            raise Refused(
                HTTPStatus.METHOD_NOT_ALLOWED, "this door takes files in and gives nothing out", ALLOW
            )
        request.host = known_user(request, self._passwords)
        host = self._welcome(request)
        request.turn.enter_context(self._turns.one(request.host, request.end))
        # It has a thread of its own now, as many as there are places.
        request.patient = True
        place = find_place(request.head.target, self._prefix)
        if place.host != request.host:
            raise Refused(HTTPStatus.FORBIDDEN, f"{request.host} may only drop into its own folder")
        return method(request, place, host)

    def _welcome(self, request: Request) -> EnrolledHost:
        """The host as it is enrolled; Refused (403) if it is not, or may not come from where it is."""
        try:
            host = self._enrolled.host(request.host)
        except ConfigurationError as error:
            log.trouble(error.message)
            if self._enrolled.knows(request.host):
                raise Refused(
                    HTTPStatus.SERVICE_UNAVAILABLE, "the mirror cannot read who is enrolled"
                ) from error
            raise Refused(
                HTTPStatus.FORBIDDEN, f"{request.host} is not enrolled on {self._mirror.name}"
            ) from error
        if not host.may_come_from(request.address):
            raise Refused(
                HTTPStatus.FORBIDDEN, f"{host.name} may not drop from the address {request.address}"
            )
        return host

    def _put(self, request: Request, place: Place, host: EnrolledHost) -> Answer:
        if not place.name:
            raise Refused(HTTPStatus.FORBIDDEN, "a file needs a name after the host's folder")
        return drop(self._store, request, place, host, lambda: self._ask_again(request))

    def _ask_again(self, request: Request) -> None:
        """Refused if the host, or who has its old password, would not be let in now."""
        known_user(request, self._passwords)
        self._welcome(request)

    def _look(self, request: Request, place: Place, _host: EnrolledHost) -> Answer:
        return self._dav.answer(request.head, place, request.body.all(MAX_BODY), request.turn)
