"""Every failure has an answer, and what the administrator should know of it stands in the log."""

import errno
from collections.abc import Callable
from http import HTTPStatus

from nightdrop.errors import VaultError
from nightdrop_server import log
from nightdrop_server.answers import Answer, Refused
from nightdrop_server.request import Request

_FULL = (errno.ENOSPC, errno.EDQUOT)


def answered(respond: Callable[[Request], Answer], request: Request) -> Answer:
    """What `respond` answers to the request, or what is to be answered where it fails."""
    try:
        return respond(request)
    except Refused as refused:
        return refused.answer()
    except VaultError as error:
        log.trouble(error.message)
        return _unwell(HTTPStatus.SERVICE_UNAVAILABLE, "cannot reach its vault")
    except FileNotFoundError as error:
        # The host's folder is gone, or the disk it is on.
        log.fault(error)
        return _unwell(HTTPStatus.SERVICE_UNAVAILABLE, "cannot reach its vault")
    except OSError as error:
        log.fault(error)
        if error.errno in _FULL:
            return _unwell(HTTPStatus.INSUFFICIENT_STORAGE, "has a full disk; nothing kept")
        return _unwell(HTTPStatus.INTERNAL_SERVER_ERROR, "could not store this; nothing kept")
    except Exception as error:  # noqa: BLE001  the client gets an answer, the log the fault
        log.fault(error)
        return _unwell(HTTPStatus.INTERNAL_SERVER_ERROR, "has a fault; its log says which")


def _unwell(status: HTTPStatus, what: str) -> Answer:
    return Refused(status, f"the mirror {what}", (("Retry-After", "60"),)).answer()
