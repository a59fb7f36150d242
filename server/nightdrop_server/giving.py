"""Giving a stored file out, whole or in part (RFC 9110, section 14), to the administrator only."""

import re
from email.utils import formatdate
from http import HTTPStatus

from nightdrop.ledger import Drop
from nightdrop.vault import StoredFile, Vault
from nightdrop_server.answers import Answer, Refused, Stream
from nightdrop_server.digests import digest_field
from nightdrop_server.heads import Head
from nightdrop_server.targets import Place

_RANGE = re.compile(r"bytes=(?:(\d{1,18})-(\d{0,18})|-(\d{1,18}))", re.ASCII)


def give(vault: Vault, place: Place, file: StoredFile, drop: Drop | None, head: Head) -> Answer:
    """The answer to a GET or HEAD of a stored file; `drop` is what the ledger knows of it."""
    fields = [
        ("Content-Type", "application/octet-stream"),
        # Hosts choose what is in their files; no browser is to make anything of it.
        ("X-Content-Type-Options", "nosniff"),
        ("Accept-Ranges", "bytes"),
        ("Last-Modified", formatdate(drop.received if drop else file.changed, usegmt=True)),
    ]
    if drop is not None and drop.size == file.size:
        fields += [("ETag", f'"{drop.sha256}"'), *digest_field(drop.sha256)]
    wanted = head.fields.get("range", "") if head.method == "GET" else ""
    if_range = head.fields.get("if-range")
    part = None
    if if_range is None or (drop is not None and if_range == f'"{drop.sha256}"'):
        part = _part(wanted, file.size)
    first, length = part or (0, file.size)
    if part is not None:
        fields.append(("Content-Range", f"bytes {first}-{first + length - 1}/{file.size}"))
    stored = vault.open(place.host, place.name)
    stored.seek(first)
    status = HTTPStatus.OK if part is None else HTTPStatus.PARTIAL_CONTENT
    return Answer(status, tuple(fields), stream=Stream(stored, length))


def _part(wanted: str, size: int) -> tuple[int, int] | None:
    """First octet and length of the part that a Range field asks for; None for the whole, also where it
    asks for several parts, which may be ignored. Refused (416) where there is no such part.
    """
    if (found := _RANGE.fullmatch(wanted)) is None:
        return None
    if found[3] is not None:
        length = min(int(found[3]), size)
        first = size - length
    else:
        first = int(found[1])
        end = min(int(found[2]), size - 1) if found[2] else size - 1
        if found[2] and int(found[2]) < first:
            return None
        length = end - first + 1
    if length <= 0:
        raise Refused(
            HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE,
            f"the file has {size} bytes",
            (("Content-Range", f"bytes */{size}"),),
        )
    return first, length
