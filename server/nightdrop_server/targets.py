"""From the raw target of a request to the place it means: a host's folder, or a name in it.

Decided on the bytes as they came. No name that the pattern allows ever needs percent-encoding, so
nothing is decoded, and no two spellings can mean the same place.
"""

from dataclasses import dataclass
from http import HTTPStatus
from urllib.parse import urlsplit

from nightdrop.mirror import Mirror
from nightdrop.names import is_host_name, parse_name
from nightdrop_server.answers import Refused


@dataclass(frozen=True)
class Place:
    """Where a request goes: a host's folder (`name` is ""), or a file that may be in it."""

    host: str
    name: str


def url_prefix(mirror: Mirror) -> str:
    """The path that `mirror.url` puts before hosts, "" for none."""
    return urlsplit(mirror.url).path


def find_place(target: str, prefix: str) -> Place:
    """The place of a request's raw target; Refused (403) where there is none."""
    inside = target.removeprefix(prefix)
    if (prefix and inside == target) or not inside.startswith("/"):
        raise _nowhere(f"paths here begin with {prefix}/HOST/")
    host, slash, name = inside[1:].partition("/")
    if not is_host_name(host):
        raise _nowhere(f"paths here are {prefix}/HOST/NAME, with nothing encoded")
    if slash and name and parse_name(name) is None:
        raise _nowhere("this is not a name that backups have here (docs/FORMAT.md, Names)")
    return Place(host, name)


def _nowhere(sentence: str) -> Refused:
    return Refused(HTTPStatus.FORBIDDEN, sentence)
