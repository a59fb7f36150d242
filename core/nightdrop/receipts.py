"""Receipts: the last file of a set, in the clear, naming every file of the set (FORMAT.md, "Receipts").

A set is complete if and only if its receipt is there and every file it names is there with that size
and digest. Receipts come from machines that may be in an attacker's hands, so `parse_receipt` takes
nothing on trust: sizes, types, names and counts are checked before anybody looks at a value.
"""

import hashlib
import json
import re
from typing import Final, NamedTuple

from nightdrop.errors import ReceiptError
from nightdrop.names import SetKey, is_host_name, parse_name
from nightdrop.text import harmless

FORMAT: Final = "nightdrop-receipt/1"
MAX_SIZE: Final = 32 * 1024 * 1024
"""Longest receipt that is read, in octets: room for 150,000 files."""

_SHA256 = re.compile(r"[0-9a-f]{64}", re.ASCII)
# "\ud800" is fine JSON and no character: whoever prints it would stumble.
_SURROGATE = re.compile("[\ud800-\udfff]")
_MAX_DEPTH = 8
_NO_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
_MAX_VALUES = 2_000_000


class ReceiptFile(NamedTuple):
    """A file of the set: its name, its size in octets, its SHA-256 in hex."""

    name: str
    size: int
    sha256: str


class Source(NamedTuple):
    """What was backed up: its size in octets, its files, and how many of them could not be read.
    `what` names the configured folders and other sources, never a file found in them; `failed` are
    those of them, by the place they have in the set, that are not whole in it.
    """

    what: tuple[str, ...]
    size: int
    files: int
    unread: int
    failed: tuple[str, ...] = ()


class Receipt(NamedTuple):
    """A receipt. `started` and `finished` are the client's own clock (RFC 3339, UTC); `previous` is
    the SHA-256 of this host's receipt before, "" for its first.
    """

    host: str
    set: str
    type: str
    started: str
    finished: str
    files: tuple[ReceiptFile, ...]
    recipients: tuple[str, ...]
    tool: str
    source: Source
    previous: str

    def to_bytes(self) -> bytes:
        """The receipt as it is written: JSON, UTF-8, one line end at the end."""
        fields = {
            "format": FORMAT,
            **self._asdict(),
            "files": [file._asdict() for file in self.files],
            "source": self.source._asdict(),
        }
        return (json.dumps(fields, indent=1) + "\n").encode()


def digest(octets: bytes) -> str:
    """The SHA-256 by which the next receipt names this one."""
    return hashlib.sha256(octets).hexdigest()


def parse_receipt(octets: bytes, key: SetKey, host: str) -> Receipt:
    """Read the receipt of the set `key` of `host`, or raise ReceiptError with what is wrong with it."""
    if len(octets) > MAX_SIZE:
        raise ReceiptError(f"it is longer than {MAX_SIZE} octets")
    # Bytes that are cheap to send could be dear to parse: [[],[],[],… takes 30 times its size.
    if sum(octets.count(mark) for mark in (b",", b"[", b"{")) > _MAX_VALUES:
        raise ReceiptError(f"it holds more than {_MAX_VALUES:,} values")
    if _too_deep(octets):
        raise ReceiptError("it is nested too deep")
    try:
        # Decoded here: json.loads would take UTF-16 for JSON, too, and octets that are no UTF-8.
        fields = json.loads(octets.decode())
    except (ValueError, RecursionError) as error:
        raise ReceiptError("it is not JSON in UTF-8") from error
    if not isinstance(fields, dict) or fields.get("format") != FORMAT:
        raise ReceiptError(f"its format is not {FORMAT}")
    receipt = Receipt(
        host=_text(fields, "host"),
        set=_text(fields, "set"),
        type=_text(fields, "type"),
        started=_text(fields, "started"),
        finished=_text(fields, "finished"),
        files=tuple(_file(item, key) for item in _list(fields, "files")),
        recipients=tuple(_item_text(item, "recipients") for item in _list(fields, "recipients")),
        tool=_text(fields, "tool"),
        source=_source(fields.get("source")),
        previous=_text(fields, "previous"),
    )
    if receipt.host != host or not is_host_name(receipt.host):
        raise ReceiptError(f"it is of another host: {harmless(receipt.host, 80)}")
    if (receipt.set, receipt.type) != (key.stem, key.type):
        raise ReceiptError(f"it is of another set: {harmless(receipt.set, 80)}")
    if receipt.previous and not _SHA256.fullmatch(receipt.previous):
        raise ReceiptError("`previous` is not a SHA-256")
    names = [file.name for file in receipt.files]
    if not names or len(set(names)) != len(names):
        raise ReceiptError("it names no file, or one file twice")
    return receipt


def _too_deep(octets: bytes) -> bool:
    """Whether brackets nest too deep, strings not looked at: enough to stop a bomb before the parser."""
    depth = 0
    for bracket in octets.translate(None, _NO_BRACKETS):
        depth += 1 if bracket in b"[{" else -1
        if depth > _MAX_DEPTH:
            return True
    return False


def _text(fields: dict[str, object], key: str) -> str:
    return _item_text(fields.get(key), key)


def _item_text(value: object, key: str) -> str:
    if not isinstance(value, str) or len(value) > 4096:
        raise ReceiptError(f"`{key}` is not a text")
    if not value.isascii() and _SURROGATE.search(value):
        raise ReceiptError(f"`{key}` is not a text")
    return value


def _number(fields: dict[str, object], key: str) -> int:
    value = fields.get(key)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 2**63:
        raise ReceiptError(f"`{key}` is not a whole number")
    return value


def _list(fields: dict[str, object], key: str) -> list[object]:
    value = fields.get(key)
    if not isinstance(value, list):
        raise ReceiptError(f"`{key}` is not a list")
    return value


def _file(item: object, key: SetKey) -> ReceiptFile:
    if not isinstance(item, dict):
        raise ReceiptError("`files` holds something that is not a file")
    # Their patterns say more of these two than `_text` would.
    name, sha256 = item.get("name"), item.get("sha256")
    if not isinstance(name, str) or not isinstance(sha256, str):
        raise ReceiptError("`name` or `sha256` of a file is not a text")
    parsed = parse_name(name)
    if parsed is None or parsed.set != key or parsed.part in ("receipt", "receipt-signature"):
        raise ReceiptError(f"it names a file that is not of this set: {harmless(name, 80)}")
    if not _SHA256.fullmatch(sha256):
        raise ReceiptError(f"the digest of {name} is not a SHA-256")
    return ReceiptFile(name, _number(item, "size"), sha256)


def _source(value: object) -> Source:
    if not isinstance(value, dict):
        raise ReceiptError("`source` is missing")
    what = tuple(_item_text(item, "what") for item in _list(value, "what"))
    # Not in the receipts of clients that had nothing but folders.
    failed = _list(value, "failed") if "failed" in value else []
    return Source(
        what,
        _number(value, "size"),
        _number(value, "files"),
        _number(value, "unread"),
        tuple(_item_text(item, "failed") for item in failed),
    )
