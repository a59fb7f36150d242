"""One drop: the PUT of a name in the host's own folder. Write-once, whole, durable, written down.

A taken name is compared, never written: the same bytes are as good as stored (204), others are refused
(409) and noted for the check. What can be told from lengths and declared digests is told before the body.
"""

import hashlib
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import NoReturn

from nightdrop.enrolment import EnrolledHost
from nightdrop.errors import VaultError
from nightdrop.ledger import Drop, Ledger
from nightdrop.vault import FolderVault, StoredFile
from nightdrop_server import log
from nightdrop_server.answers import Answer, Refused
from nightdrop_server.digests import declared_digest, digest_field
from nightdrop_server.request import Request
from nightdrop_server.room import Room
from nightdrop_server.shares import Shares
from nightdrop_server.store import BUFFER, NameTaken, Written, give_name, nameless, read_body, write_body
from nightdrop_server.targets import Place


@dataclass(frozen=True)
class Storeroom:
    """What stands behind the door: the files, what is known of them, and how much more fits."""

    vault: FolderVault
    ledger: Ledger
    room: Room
    shares: Shares


def drop(
    store: Storeroom, request: Request, place: Place, host: EnrolledHost, ask_again: Callable[[], object]
) -> Answer:
    """Take a body in under a name, and answer 201 when it is on disk; Refused where it may not be.

    `ask_again` raises Refused where the host may not drop any more by the time that its body is there.
    """
    head, body = request.head, request.body
    for field in ("content-range", "content-encoding"):
        if field in head.fields:
            raise Refused(
                HTTPStatus.BAD_REQUEST, f"a PUT here is of a whole file as it is, without {field}"
            )
    if not head.declared:
        raise Refused(HTTPStatus.LENGTH_REQUIRED, "a PUT needs a Content-Length, or chunks")
    declared = declared_digest(head.fields.get("repr-digest"))
    if (existing := store.vault.stat(place.host, place.name)) is not None:
        return _compare(store, request, place, existing, declared)
    with (
        store.vault.folder(place.host) as folder,
        store.room.upload(place.host, host.quota, folder, body.length) as upload,
        nameless(folder) as descriptor,
    ):
        written = write_body(
            body,
            descriptor,
            lambda octets: store.room.use(upload, octets),
            store.shares.of(place.host),
        )
        _check(written, declared)
        ask_again()
        named = time.monotonic()
        try:
            give_name(descriptor, folder, place.name)
        except NameTaken:
            return _lost_race(store, request, place, written)
        store.room.keep(upload, named)
    _write_down(store, Drop(place.host, place.name, written.size, written.sha256, time.time()))
    return Answer(HTTPStatus.CREATED, digest_field(written.sha256))


def _compare(
    store: Storeroom, request: Request, place: Place, existing: StoredFile, declared: str | None
) -> Answer:
    """The answer to a PUT of a name that is taken; nothing is written."""
    body = request.body
    if not existing.regular or body.length not in (None, existing.size):
        _refuse(store, place, request)
    stored = _stored_digest(store, place, existing)
    if declared not in (None, stored):
        _refuse(store, place, request)
    if declared == stored and body.length is not None and body.waiting:
        return _kept(store, place, stored)
    offered = read_body(body, existing.size, store.shares.of(place.host))
    if offered is None:
        _refuse(store, place, request)
    _check(offered, declared)
    if offered.sha256 != stored:
        _refuse(store, place, request)
    return _kept(store, place, stored)


def _lost_race(store: Storeroom, request: Request, place: Place, written: Written) -> Answer:
    """The answer where another PUT took the name while this one's body was on its way."""
    existing = store.vault.stat(place.host, place.name)
    if existing is None or not existing.regular or existing.size != written.size:
        _refuse(store, place, request)
    stored = _stored_digest(store, place, existing)
    if stored != written.sha256:
        _refuse(store, place, request)
    return _kept(store, place, stored)


def _kept(store: Storeroom, place: Place, sha256: str) -> Answer:
    # Another PUT may have given the name a moment ago and not yet made that durable.
    with store.vault.folder(place.host) as folder:
        os.fsync(folder)
    return Answer(HTTPStatus.NO_CONTENT, digest_field(sha256))


def _check(written: Written, declared: str | None) -> None:
    if declared not in (None, written.sha256):
        raise Refused(
            HTTPStatus.BAD_REQUEST,
            "the bytes that arrived are not those that Repr-Digest declares; nothing kept",
        )


def _refuse(store: Storeroom, place: Place, request: Request) -> NoReturn:
    try:
        store.ledger.refuse(place.host, place.name, request.address)
    except VaultError as error:
        log.trouble(error.message)
    raise Refused(
        HTTPStatus.CONFLICT,
        "this name is taken by other bytes, which stay as they are; a new backup needs a new name "
        "(after an interrupted duplicity: remove its *.part files here and its unfinished set there)",
    )


def _stored_digest(store: Storeroom, place: Place, file: StoredFile) -> str:
    """The SHA-256 of a stored file: the ledger's; where a kill left none, worked out and written down."""
    try:
        known = store.ledger.drop(place.host, place.name)
    except VaultError as error:
        log.trouble(error.message)
        known = None
    if known is not None and known.size == file.size:
        return known.sha256
    digest = hashlib.sha256()
    buffer = memoryview(bytearray(BUFFER))
    with store.vault.open(place.host, place.name) as file_bytes:
        while octets := file_bytes.readinto(buffer):  # type: ignore[attr-defined]
            digest.update(buffer[:octets])
    _write_down(store, Drop(place.host, place.name, file.size, digest.hexdigest(), file.changed))
    return digest.hexdigest()


def _write_down(store: Storeroom, drop: Drop) -> None:
    """Record a drop. The file is on disk whatever comes of this, and a later look repairs the ledger."""
    try:
        store.ledger.record(drop)
    except VaultError as error:
        log.trouble(error.message)
