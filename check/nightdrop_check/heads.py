"""What a file tells of itself without a key, from its first kilobytes and its tail.

Read once for each file: what is found is remembered until the file changes (`memory`).
"""

import zlib
from dataclasses import dataclass
from typing import BinaryIO, Final

from nightdrop.envelope import der
from nightdrop.envelope.algorithms import AUTH_ENVELOPED_DATA, ENVELOPED_DATA
from nightdrop.envelope.inspection import inspect_envelope
from nightdrop.envelope.recipients import RecipientId
from nightdrop.errors import EnvelopeError, UnknownCipherError

_SAMPLE_AT: Final = 6 * 1024
_SAMPLE: Final = 4 * 1024
_NOISE: Final = 0.9
_GLANCE: Final = 1024
_MANY: Final = 236
"""Of 1024 random octets 251 are different ones, give or take 2; of programs and texts mostly far fewer.
A glance at them saves most of the compressing.
"""


@dataclass(frozen=True)
class Head:
    """What an envelope says of itself: its cipher, its recipients, whether it ends properly (None where
    its tail does not tell), how many octets follow its end; or, in `no_envelope`, why it is none, though
    it may begin as one; or, in `unknown_cipher`, why no more can be told of it. `noise` is
    False where what it holds does not look encrypted.
    """

    cipher: str = ""
    recipients: tuple[RecipientId, ...] = ()
    complete: bool | None = True
    trailing: int = 0
    no_envelope: str = ""
    begins_as_one: bool = False
    unknown_cipher: str = ""
    noise: bool = True


def read_head(stream: BinaryIO) -> Head:
    """Describe a seekable file."""
    try:
        found = inspect_envelope(stream)
    except UnknownCipherError as error:
        return Head(unknown_cipher=error.message)
    except EnvelopeError as error:
        stream.seek(0)
        return Head(no_envelope=error.message, begins_as_one=begins_as_envelope(stream.read(64)))
    recipients = tuple(dict.fromkeys(found.recipients))
    return Head(
        found.cipher,
        recipients,
        found.complete,
        found.trailing,
        noise=_is_noise(stream) if found.form == "BER" else True,
    )


def begins_as_envelope(head: bytes) -> bool:
    """Whether a file's first octets, however few, are those of an envelope (RFC 5652, section 3)."""
    if head[:1] != bytes((der.SEQUENCE,)):
        return False
    length = 1 + (head[1] & 0x7F if len(head) > 1 and head[1] > 0x80 else 0)
    rest = head[1 + length :]
    return any(rest[: len(oid)] == oid[: len(rest)] for oid in (ENVELOPED_DATA, AUTH_ENVELOPED_DATA))


def _is_noise(stream: BinaryIO) -> bool:
    """Whether a piece of the content looks like ciphertext: that cannot be compressed.

    The piece stands where most heads have ended, and a few recipients more make it no less noise, because
    theirs are encrypted keys. Of a shorter file nobody can say.
    """
    stream.seek(_SAMPLE_AT)
    sample = stream.read(_SAMPLE)
    if len(sample) < _SAMPLE or len(set(sample[:_GLANCE])) >= _MANY:
        return True
    return len(zlib.compress(sample, 1)) > _NOISE * _SAMPLE
