"""Which file names exist in a vault at all, and what each of them says (docs/FORMAT.md, "Names").

duplicity's own names stay as duplicity makes them; every other client writes `KIND-full.T.EXT.p7m`.
One anchored pattern decides. The door refuses what it does not match, so nothing else in the suite
ever has to wonder about a name.
"""

import re
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final, Literal, NamedTuple

SetType = Literal["full", "inc"]
Part = Literal[
    "volume",
    "signatures",
    "manifest",
    "supplement",
    "jsonstat",
    "stream",
    "receipt",
    "receipt-signature",
]

MAX_NAME_LENGTH = 200
"""Longest file name, in bytes, that the pattern lets pass."""

_HOST = re.compile(r"[a-z0-9](?:[a-z0-9._-]{0,61}[a-z0-9])?", re.ASCII)

_TIME = r"\d{8}T\d{6}Z"
_TIME_FIELDS = re.compile(r"(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z", re.ASCII)
_RECEIPT = r"receipt\.json(?P<signed>\.p7s)?"
# What looks like the number of a volume and is none (vol0, vol01) must not pass for an extension.
_EXT = r"(?!vol\d+\.)[a-z0-9]+(?:\.[a-z0-9]+)*?"
_NAME = re.compile(
    rf"""
    (?: duplicity-(?P<sigs>full|new)-signatures
          \.(?P<sig_from>{_TIME})(?:\.to\.(?P<sig_to>{_TIME}))?\.sigtar\.p7m
      | (?P<kind>[a-z][a-z0-9_]{{0,31}})-(?P<type>full|inc)
          \.(?P<from>{_TIME})(?:\.to\.(?P<to>{_TIME}))?
          \.(?: (?P<receipt>{_RECEIPT})
              | (?P<part>manifest|supplement|jsonstat)\.p7m
              | vol(?P<number>[1-9]\d{{0,6}})\.(?P<volume_ext>{_EXT})\.p7m
              | (?P<ext>{_EXT})\.p7m
            )
    )
    """,
    re.ASCII | re.VERBOSE,
)


_DUPLICITYS: Final[dict[str, Part]] = {
    "manifest": "manifest",
    "supplement": "supplement",
    "jsonstat": "jsonstat",
}

HOST_PATTERN = _HOST.pattern
"""The pattern of hosts' names, for other programs: a regular expression as Perl writes them."""

NAME_PATTERN = rf"(?=.{{1,{MAX_NAME_LENGTH}}}$)" + re.sub(
    r"\s", "", re.sub(r"\?P<\w+>", "?:", _NAME.pattern)
)
"""The same for names of files. It goes by the form alone: `parse_name` knows more."""


class SetKey(NamedTuple):
    """What identifies a backup set within its host: `start` is the time of the set before, for
    duplicity's incrementals; `end` the set's own time. Both as written in names (`20260102T030405Z`).
    """

    kind: str
    end: str
    type: SetType
    start: str = ""

    @property
    def stem(self) -> str:
        """The beginning that the names of the set's volumes, manifest and receipt share."""
        span = f"{self.start}.to.{self.end}" if self.start else self.end
        return f"{self.kind}-{self.type}.{span}"

    @property
    def receipt_name(self) -> str:
        """The name of this set's receipt."""
        return f"{self.stem}.receipt.json"

    @property
    def signature_name(self) -> str:
        """The name of this set's receipt's signature."""
        return f"{self.receipt_name}.p7s"

    @property
    def supplement_name(self) -> str:
        """The name of the envelope with what duplicity does not keep (FORMAT.md, "Supplement")."""
        return f"{self.stem}.supplement.p7m"

    @property
    def manifest_name(self) -> str:
        """The name of duplicity's manifest of this set."""
        return f"{self.stem}.manifest.p7m"

    @property
    def signatures_name(self) -> str:
        """The name of duplicity's signatures of this set."""
        if self.type == "full":
            return f"{self.kind}-full-signatures.{self.end}.sigtar.p7m"
        return f"{self.kind}-new-signatures.{self.start}.to.{self.end}.sigtar.p7m"


class FileName(NamedTuple):
    """One name that the pattern allows, taken apart."""

    name: str
    set: SetKey
    part: Part
    volume: int | None = None

    @property
    def sealed(self) -> bool:
        """Whether a file of this name has to be an envelope."""
        return self.name.endswith(".p7m")


@lru_cache(maxsize=4096)
def parse_name(name: str) -> FileName | None:
    """Take a file name apart; None for a name that cannot exist in a vault.

    A set's names are asked for several times in a row: in listing, in its receipt, in judging it.
    """
    if len(name) > MAX_NAME_LENGTH or (found := _NAME.fullmatch(name)) is None:
        return None
    if found["sigs"]:
        return _signatures(name, found)
    kind, start, end = found["kind"], found["from"], found["to"]
    set_type: SetType = "full" if found["type"] == "full" else "inc"
    duplicity = kind == "duplicity"
    # duplicity's incrementals name the set they build on, and nothing else does.
    if (end is not None) != (duplicity and set_type == "inc") or not _are_times(start, end):
        return None
    key = SetKey(kind, end or start, set_type, start if end else "")
    if found["receipt"]:
        return FileName(name, key, "receipt-signature" if found["signed"] else "receipt")
    if found["number"]:
        if duplicity != (found["volume_ext"] == "difftar"):
            return None
        return FileName(name, key, "volume", int(found["number"]))
    if part := found["part"]:
        return FileName(name, key, _DUPLICITYS[part]) if duplicity else None
    return None if duplicity else FileName(name, key, "stream")


def _signatures(name: str, found: re.Match[str]) -> FileName | None:
    start, end = found["sig_from"], found["sig_to"]
    if (end is not None) != (found["sigs"] == "new") or not _are_times(start, end):
        return None
    if end is None:
        return FileName(name, SetKey("duplicity", start, "full"), "signatures")
    return FileName(name, SetKey("duplicity", end, "inc", start), "signatures")


def is_host_name(host: str) -> bool:
    """Whether this may be the name of a host: lower-case letters, digits, dot, hyphen, underscore."""
    return _HOST.fullmatch(host) is not None and ".." not in host


def parse_time(text: str) -> datetime:
    """The time in a name, as an aware datetime; ValueError if it is none."""
    # Not strptime, which takes longer than all the rest of a name.
    if (found := _TIME_FIELDS.fullmatch(text)) is None:
        raise ValueError(f"{text!r} is not a time")
    year, month, day, hour, minute, second = map(int, found.groups())
    return datetime(year, month, day, hour, minute, second, tzinfo=UTC)


def format_time(when: datetime) -> str:
    """A time as names write it: UTC, to the second."""
    return when.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")


def _are_times(start: str, end: str | None) -> bool:
    return _is_time(start) and (end is None or _is_time(end))


@lru_cache(maxsize=1024)
def _is_time(text: str) -> bool:
    """Whether this is a time. Files share theirs, and so do sets that build on each other."""
    try:
        return bool(parse_time(text))
    except ValueError:
        return False
