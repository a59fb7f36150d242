"""A dead man's switch elsewhere (as healthchecks.io has it) is told of each look: begun, done, or failed.

It raises the alarm when nothing comes any more: when this mirror is dead, and cannot say so itself.
"""

from typing import Final, Literal
from urllib.parse import urlsplit, urlunsplit

from nightdrop.text import harmless
from nightdrop_check.deadline import within

Event = Literal["start", "success", "fail"]

_TIMEOUT: Final = 10
_DEADLINE: Final = 30.0


def ping(url: str, event: Event, text: str = "") -> str:
    """Tell `url` of an event, with a text; what went wrong in doing so, or "". The URL is a secret."""
    import requests

    parts = urlsplit(url)
    path = parts.path.rstrip("/") + ("" if event == "success" else f"/{event}")
    target = urlunsplit(parts._replace(path=path))

    def post() -> requests.Response:
        # What it says is of no interest, however much that is.
        with requests.post(
            target, data=text.encode(), timeout=_TIMEOUT, allow_redirects=False, stream=True
        ) as answer:
            return answer

    try:
        answer = within(_DEADLINE, post)
    except (requests.RequestException, TimeoutError) as error:
        return f"cannot ping {parts.hostname}: {type(error).__name__}"
    if not answer.ok:
        return f"cannot ping {parts.hostname}: it answers {answer.status_code} {harmless(answer.reason)}"
    return ""
