"""Sealing: a stream of any length becomes an envelope, in constant memory (FORMAT.md, "Envelopes").

What goes in is compressed (or not), encrypted, and written at once as indefinite-length BER. There is
no private key and nothing here that could decrypt.
"""

import itertools
import os
from collections.abc import Iterable, Sequence
from typing import Final, Protocol

import zstandard
from cryptography.hazmat.primitives.ciphers import AEADEncryptionContext, Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES256
from cryptography.hazmat.primitives.ciphers.modes import CBC, GCM

from nightdrop.envelope import der
from nightdrop.envelope.algorithms import (
    AUTH_ENVELOPED_DATA,
    CIPHER_OIDS,
    DATA,
    ENVELOPED_DATA,
    GCM_LIMIT,
    CipherName,
)
from nightdrop.envelope.entries import Addressing, entry_for
from nightdrop.envelope.recipients import Recipient
from nightdrop.errors import EnvelopeError
from nightdrop.streams import STABLE, Octets, Write

SEGMENT: Final = 1024 * 1024
"""Octets of ciphertext in each OCTET STRING segment but the last; a multiple of every block size."""

_HEAD: Final = 8
"""Room for a segment's tag and length, so that it is written with what it heads."""

_ZSTD_LEVEL: Final = 3
_ZSTD_SHORTEST_MATCH: Final = 6
ZSTD_MAGICS: Final = (b"\x28\xb5\x2f\xfd", *(bytes((n, 0x2A, 0x4D, 0x18)) for n in range(0x50, 0x60)))
"""How a zstd frame, or a skippable one, begins (RFC 8878, 3.1)."""

_JOB: Final = 2 * 1024 * 1024
"""Octets that each of several threads compresses at a time: a ratio half a percent below one thread's."""

_PLAIN_ADDRESSING: Final = Addressing()


class Sealer:
    """Seals one stream: `update` with its pieces, then `finish`, once."""

    def __init__(
        self,
        write: Write,
        recipients: Sequence[Recipient],
        cipher: CipherName = "aes-256-gcm",
        compress: bool = True,
        *,
        addressing: Addressing = _PLAIN_ADDRESSING,
        segment: int = SEGMENT,
        threads: int = 1,
    ) -> None:
        """Write the envelope's head at once. `write` takes each piece of the envelope in turn, and may
        take its time with it: a piece stays as it is while STABLE more are written. `segment` octets of
        the stream, once compressed, come out together, so smaller ones come sooner; a multiple of 16.
        With several `threads` that compress, up to _JOB octets for each of them are held back.
        """
        self._envelope = _Encryptor(write, recipients, cipher, addressing=addressing, segment=segment)
        self._stage: _Stage = _Compressed(segment, threads) if compress else _Plain(segment)

    def update(self, data: Octets) -> None:
        """Seal the next piece, of any size."""
        for piece in self._stage.update(data):
            self._envelope.update(piece)

    def finish(self) -> None:
        """Write what is still held back, and the envelope's end."""
        for piece in self._stage.finish():
            self._envelope.update(piece)
        self._envelope.finish()


class _Stage(Protocol):
    """What stands before encryption; gives the pieces that become segments, the last one shorter."""

    def update(self, data: Octets) -> Iterable[Octets]: ...

    def finish(self) -> Iterable[Octets]: ...


class _Compressed:
    """One zstd frame with a checksum."""

    def __init__(self, segment: int, threads: int = 1) -> None:
        # The level's tables with the strategy of lower levels: three quarters of the time for 2 % more
        # octets of /usr/share, 4 % of programs. Nothing else in a full takes as long as this.
        parameters = zstandard.ZstdCompressionParameters.from_level(
            _ZSTD_LEVEL,
            strategy=zstandard.STRATEGY_FAST,
            min_match=_ZSTD_SHORTEST_MATCH,
            write_checksum=1,
            # zstd does with 0 what it does with 1 of its own threads, and holds less back.
            threads=threads if threads > 1 else 0,
            job_size=_JOB if threads > 1 else 0,
        )
        compressor = zstandard.ZstdCompressor(compression_params=parameters)
        self._chunker = compressor.chunker(chunk_size=segment)

    def update(self, data: Octets) -> Iterable[Octets]:
        yield from self._chunker.compress(data)

    def finish(self) -> Iterable[Octets]:
        yield from self._chunker.finish()  # type: ignore[no-untyped-call]


class _Plain:
    """The stream as it is, unless it begins as zstd does.

    Whoever opens an envelope takes a zstd frame for our compression and undoes it. So a stream that
    is itself zstd has to be compressed once more, or it would not come out as it went in.
    """

    def __init__(self, segment: int) -> None:
        self._segment = segment
        self._held = bytearray()
        self._checked = False
        self._instead: _Compressed | None = None

    def update(self, data: Octets) -> Iterable[Octets]:
        if self._instead:
            yield from self._instead.update(data)
            return
        view = memoryview(data)
        while view:
            if self._checked and not self._held and len(view) >= self._segment:
                # Nothing is held back: no need to copy what can be encrypted where it is.
                yield view[: self._segment]
                view = view[self._segment :]
                continue
            room = self._segment - len(self._held)
            self._held += view[:room]
            view = view[room:]
            if not self._checked and len(self._held) >= 4:
                self._checked = True
                if self._held.startswith(ZSTD_MAGICS):
                    self._instead = _Compressed(self._segment)
                    yield from self._instead.update(bytes(self._held))
                    yield from self._instead.update(view)
                    return
            if len(self._held) == self._segment:
                yield self._held
                self._held.clear()

    def finish(self) -> Iterable[Octets]:
        return self._instead.finish() if self._instead else (self._held,)


class _Encryptor:
    """The CMS message around the encrypted content."""

    def __init__(
        self,
        write: Write,
        recipients: Sequence[Recipient],
        cipher: CipherName,
        *,
        addressing: Addressing,
        segment: int,
    ) -> None:
        if not recipients:
            raise EnvelopeError("an envelope needs a recipient")
        key = os.urandom(32)
        self._write = write
        self._octets = 0
        self._gcm = cipher == "aes-256-gcm"
        # Key and nonce are drawn together for this one message, so no pair is ever used twice.
        nonce = os.urandom(12 if self._gcm else 16)
        mode = GCM(nonce) if self._gcm else CBC(nonce)
        self._context = Cipher(AES256(key), mode).encryptor()
        outs = [memoryview(bytearray(_HEAD + segment + 32)) for _ in range(STABLE + 1)]
        self._outs = itertools.cycle(outs)
        parameters = der.element(der.OCTET_STRING, nonce)
        if self._gcm:
            parameters = der.element(der.SEQUENCE, parameters, der.integer(16))
        entries = sorted(entry_for(recipient, key, addressing) for recipient in recipients)
        write(
            bytes((der.SEQUENCE,))
            + der.INDEFINITE
            + (AUTH_ENVELOPED_DATA if self._gcm else ENVELOPED_DATA)
            + b"\xa0\x80\x30\x80"
            + der.integer(0 if self._gcm else _version(entries))
            + der.element(der.SET, *entries)
            + b"\x30\x80"
            + DATA
            + der.element(der.SEQUENCE, CIPHER_OIDS[cipher], parameters)
            + b"\xa0\x80"
        )

    def update(self, data: Octets) -> None:
        """Encrypt one segment; a shorter one only before `finish`."""
        self._octets += len(data)
        if self._gcm and self._octets > GCM_LIMIT:
            raise EnvelopeError(
                f"one AES-GCM message holds at most {GCM_LIMIT} octets, and this stream is longer",
                "seal it in volumes, or with the cipher aes-256-cbc, which has no such limit",
            )
        self._segment(data)

    def finish(self) -> None:
        """Write the padding (CBC) or the tag (GCM), and close what is open."""
        if not self._gcm:
            padding = 16 - self._octets % 16
            self._segment(bytes((padding,)) * padding)
        self._context.finalize()
        tag = b""
        if isinstance(self._context, AEADEncryptionContext):
            tag = der.element(der.OCTET_STRING, self._context.tag)
        # Content and EncryptedContentInfo end; the tag; the data, its [0] and ContentInfo end.
        self._write(der.END_OF_CONTENTS * 2 + tag + der.END_OF_CONTENTS * 3)

    def _segment(self, data: Octets) -> None:
        out = next(self._outs)
        octets = self._context.update_into(data, out[_HEAD:])
        if octets:
            head = bytes((der.OCTET_STRING,)) + der.length(octets)
            begin = _HEAD - len(head)
            out[begin:_HEAD] = head
            self._write(out[begin : _HEAD + octets])


def _version(entries: Sequence[bytes]) -> int:
    """The version of EnvelopedData (RFC 5652, 6.1): 0 if every entry has 0 (RSA, by issuer), else 2."""
    plain = der.integer(0)
    return 0 if all(one[0] == der.SEQUENCE and der.first(one) == plain for one in entries) else 2
