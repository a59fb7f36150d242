"""Who asks: the user and password of a request (RFC 7617), held against an htpasswd file."""

import base64
import binascii
from http import HTTPStatus

from nightdrop_server.answers import Refused
from nightdrop_server.passwords import Passwords
from nightdrop_server.request import Request


def known_user(request: Request, passwords: Passwords) -> str:
    """The user that asks; Refused (401) if it cannot prove it."""
    user, password = _credentials(request.head.fields.get("authorization", ""))
    if not user or not passwords.right(user, password, request.address):
        raise Refused(
            HTTPStatus.UNAUTHORIZED,
            "wrong user or password" if user else "this needs a user and a password",
            (("WWW-Authenticate", 'Basic realm="nightdrop", charset="UTF-8"'),),
        )
    return user


def _credentials(field: str) -> tuple[str, str]:
    """User and password of an Authorization field; two empty texts if it is none."""
    scheme, _, value = field.partition(" ")
    if scheme.lower() != "basic":
        return "", ""
    try:
        text = base64.b64decode(value.strip(), validate=True).decode()
    except (binascii.Error, ValueError):
        return "", ""
    user, colon, password = text.partition(":")
    return (user, password) if colon else ("", "")
