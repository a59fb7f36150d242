"""Opening envelopes: the only code of the suite that decrypts.

Streams of any length, in constant memory. With GCM the proof that a message is authentic comes last,
so what has been written by then must not be used before `open_envelope` returns: it goes to a
temporary file, or to a consumer that is told of a failure.
"""

from collections.abc import Iterator, Sequence
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
from cryptography.hazmat.primitives.ciphers import AEADDecryptionContext, Cipher, CipherContext
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC, GCM

from nightdrop.envelope.algorithms import GCM_LIMIT
from nightdrop.envelope.ber import BerReader, Read
from nightdrop.envelope.forms import binary
from nightdrop.envelope.header import Header, read_header, read_tail
from nightdrop.errors import EnvelopeError
from nightdrop.text import count
from nightdrop_restore.envelope.decompressing import Decompressor, Direct, Write
from nightdrop_restore.envelope.unwrapping import Key, unwrapped

_STEP: Final = 256 * 1024
_MOST_NAMED: Final = 8


def open_envelope(read: Read, write: Write, keys: Sequence[Key], decompress: bool = True) -> None:
    """Decrypt the envelope that `read` gives, undo our compression if it is there, and `write` it.

    Raises EnvelopeError if it is no envelope, is not for any of the keys, was cut off or altered. In
    all but the first two cases some output has been written by then, and is worth nothing.
    """
    reader = BerReader(binary(read))
    header = read_header(reader)
    context = _decryptor(header, keys)
    sink = Decompressor(write) if decompress else Direct(write)
    for piece in _plaintext(reader, context, header):
        sink.update(piece)
    sink.finish()
    if reader.peek(1):
        raise EnvelopeError("something follows where the envelope ends")


def _plaintext(reader: BerReader, context: CipherContext, header: Header) -> Iterator[bytes]:
    """The decrypted content; the last piece only once the message proved authentic, or padded right."""
    out = bytearray(_STEP + 32)
    held = b""
    total = 0
    for piece in reader.octet_string(0):
        total += len(piece)
        if header.cipher.mode == "gcm" and total > GCM_LIMIT:
            raise EnvelopeError(f"it is longer than the {GCM_LIMIT} octets that AES-GCM allows")
        view = memoryview(piece)
        for at in range(0, len(view), _STEP):
            octets = context.update_into(view[at : at + _STEP], out)
            if octets:
                if held:
                    yield held
                held = bytes(out[:octets])
    tag = read_tail(reader, header)
    if isinstance(context, AEADDecryptionContext):
        try:
            context.finalize_with_tag(tag)
        except InvalidTag as error:
            raise EnvelopeError("it was altered: its authentication tag does not match") from error
        yield held
    else:
        try:
            context.finalize()
        except ValueError as error:
            raise EnvelopeError("its ciphertext is not of whole blocks") from error
        yield _unpadded(held, header.cipher.block)


def _unpadded(last: bytes, block: int) -> bytes:
    """The last piece without its padding (RFC 5652, 6.3)."""
    padding = last[-1] if last else 0
    if not 1 <= padding <= block or not last.endswith(bytes((padding,)) * padding):
        raise EnvelopeError("its padding is wrong: it was altered, or the key is not the right one")
    return last[:-padding]


def _decryptor(header: Header, keys: Sequence[Key]) -> CipherContext:
    key = _content_key(header, keys)
    cipher = header.cipher
    algorithm = TripleDES(key) if cipher.name.startswith("des") else AES(key)
    if cipher.mode == "cbc":
        return Cipher(algorithm, CBC(header.nonce)).decryptor()
    return Cipher(algorithm, GCM(header.nonce, min_tag_length=header.tag_length)).decryptor()


def _content_key(header: Header, keys: Sequence[Key]) -> bytes:
    """The content encryption key, out of the entry for the recipient whose key we have."""
    for key in keys:
        found = unwrapped(header.entries, key)
        if found is not None and len(found) == header.cipher.key_size:
            return found
    named = [str(entry.recipient) for entry in header.entries[:_MOST_NAMED]]
    more = len(header.entries) - len(named)
    sealed_to = "; ".join(named) + (f" and {count(more, 'other')}" if more else "")
    raise EnvelopeError(
        "the key given does not open this envelope"
        if len(keys) == 1
        else f"none of the {count(len(keys), 'key')} given opens this envelope",
        f"it is sealed to {sealed_to}",
    )
