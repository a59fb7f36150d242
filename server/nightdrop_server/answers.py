"""What the door says: a status, a few header fields, a body; and the refusal, which is an answer, too."""

from dataclasses import dataclass, field
from http import HTTPStatus
from typing import BinaryIO

Fields = tuple[tuple[str, str], ...]

ALLOW: Fields = (("Allow", "OPTIONS, PROPFIND, PUT"),)


@dataclass(frozen=True)
class Stream:
    """A body of `length` octets out of a file, from where it stands. Whoever sends it closes it."""

    file: BinaryIO
    length: int


@dataclass(frozen=True)
class Answer:
    """One response: `fields` are header fields beyond those of every response, `reason` is what the
    access log adds, "" for nothing. The body is in `body` or, never from the door, in `stream`.
    """

    status: HTTPStatus
    fields: Fields = ()
    body: bytes = b""
    reason: str = field(default="", compare=False)
    stream: Stream | None = None


class Refused(Exception):  # noqa: N818  it is an answer, not a fault of ours
    """A request that gets an error answer: a status, and a sentence that a curl user understands."""

    def __init__(self, status: HTTPStatus, sentence: str, fields: Fields = ()) -> None:
        super().__init__(sentence)
        self.status = status
        self.sentence = sentence
        self.fields = fields

    def answer(self) -> Answer:
        """The response that says so."""
        fields = (("Content-Type", "text/plain; charset=utf-8"), *self.fields)
        return Answer(self.status, fields, f"{self.sentence}\n".encode(), self.sentence)
