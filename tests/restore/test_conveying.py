"""Things come through a pipe as they were sent, of any size; what is cut off does not seem whole."""

import io
import os
import threading
from pathlib import Path

import pytest

from nightdrop_restore.engine.conveying import _MOST_ITEMS, _PIECE, CutOffError, Sender, received
from nightdrop_restore.items import Item

SIZES = [0, 1, _PIECE - 1, _PIECE, _PIECE + 1, 3 * _PIECE + 5, 7]


def things() -> list[Item]:
    files = [
        Item((b"folder", b"file %d" % size), "file", 0o644, 1, 2, 3.5, content=opener(size), flaw=str)
        for size in SIZES
    ]
    link = Item((b"link\xff",), "link", 0o777, 0, 0, 1.0, b"to \xfe")
    device = Item((b"disk",), "block device", 0o600, 0, 0, 1.0, device=(7, 250))
    flawed = [
        Item((b"flaw",), "file", 0, 0, 0, 0.0, content=opener(size), flaw=lambda: "a flaw \udcff")
        for size in (1, 2 * _PIECE)
    ]
    return [*files, link, device, *flawed, *([link] * _MOST_ITEMS), files[1]]


def opener(size: int) -> object:
    return lambda: io.BytesIO(bytes(range(251)) * (size // 251) + bytes(size % 251))


def read(item: Item) -> bytes | None:
    if item.content is None:
        return None
    content = item.content()
    return b"".join(iter(lambda: content.read(_PIECE), b""))


@pytest.fixture(scope="module")
def sent(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """What goes through the pipe."""
    path: Path = tmp_path_factory.mktemp("sent") / "sent"
    with path.open("wb", buffering=0) as file:
        sender = Sender(file.fileno())
        for item in things():
            sender.write(item)
        sender.close()
    return path.read_bytes()


def test_all_of_it_comes_as_it_was(sent: bytes) -> None:
    reading, writing = os.pipe()

    def send() -> None:
        with os.fdopen(writing, "wb") as file:
            file.write(sent)

    thread = threading.Thread(target=send)
    thread.start()
    with os.fdopen(reading, "rb") as source:
        found = [(item[:8], read(item), item.flaw()) for item in received(source)]
    thread.join()
    assert found == [(item[:8], read(item), item.flaw()) for item in things()]


def test_what_is_not_read_is_passed_over(sent: bytes) -> None:
    assert [item.path for item in received(io.BytesIO(sent))] == [item.path for item in things()]


@pytest.mark.parametrize("lost", [1, 8, 9, 300, 2 * _PIECE, 5 * _PIECE])
def test_cut_off(sent: bytes, lost: int) -> None:
    with pytest.raises(CutOffError):
        for item in received(io.BytesIO(sent[:-lost])):
            read(item)
    with pytest.raises(CutOffError):
        list(received(io.BytesIO(sent[:-lost])))


def test_nothing_at_all() -> None:
    with pytest.raises(CutOffError):
        list(received(io.BytesIO(b"")))
