"""Undoing zstd in constant memory, whatever the ratio.

128 KiB of zeros are four octets of zstd. So a few hundred kilobytes, decompressed in one call, are
gigabytes, and a disk image with much empty space in it, or a hostile host, makes just that. What is
handed to zstd at a time is therefore cut by the blocks in it, of which each gives 128 KiB at most.
"""

from collections.abc import Callable
from typing import BinaryIO, Final

import zstandard

from nightdrop.envelope.sealing import ZSTD_MAGICS
from nightdrop.errors import EnvelopeError

Write = Callable[[bytes], object]

_BLOCKS_AT_ONCE: Final = 16
_SKIPPABLE: Final = ZSTD_MAGICS[1:]
_DICTIONARY_ID_SIZES: Final = (0, 1, 2, 4)
_CONTENT_SIZE_SIZES: Final = (0, 2, 4, 8)
_RLE: Final = 1


class Direct:
    """Writes what comes."""

    def __init__(self, write: Write) -> None:
        self.update = write

    def finish(self) -> None:
        """Nothing was held back."""


class Decompressor:
    """Undoes zstd where the content begins with a zstd frame, as `zstd -dcf` does; else passes it on."""

    def __init__(self, write: Write) -> None:
        self._write = write
        self._head = b""
        self._plain = False
        self._frame: _Frame | None = None

    def update(self, data: bytes) -> None:
        """Take the next piece of the content."""
        if self._plain:
            self._write(data)
            return
        view = memoryview(self._head + data)
        self._head = b""
        while view:
            if self._frame is None:
                if len(view) < 4:
                    self._head = bytes(view)
                    return
                if not bytes(view[:4]).startswith(ZSTD_MAGICS):
                    self._plain = True
                    self._write(bytes(view))
                    return
                self._frame = _Frame(self._write)
            view = view[self._frame.update(view) :]
            if self._frame.ended:
                self._frame = None

    def finish(self) -> None:
        """Say that this was all; EnvelopeError if it ended within a frame."""
        if self._frame is not None:
            raise EnvelopeError("its compressed content ends in the middle")
        self._write(self._head)


class Decompressed:
    """Reads a file, and undoes zstd where it begins with a frame of it: no more is unpacked than is read.

    EnvelopeError if it cannot be; where it ends within a frame, what is read just ends.
    """

    def __init__(self, file: BinaryIO) -> None:
        compressed = file.read(4).startswith(ZSTD_MAGICS)
        file.seek(0)
        zstd = zstandard.ZstdDecompressor()
        self._file = zstd.stream_reader(file, read_across_frames=True) if compressed else file

    def read(self, octets: int, /) -> bytes:
        """At most so many octets; b"" at the end."""
        try:
            return self._file.read(octets)
        except zstandard.ZstdError as error:
            raise EnvelopeError("its content begins as zstd does, but cannot be decompressed") from error


class _Frame:
    """One zstd frame on its way through; `ended` once all of it was there."""

    def __init__(self, write: Write) -> None:
        self._write = write
        self._zstd = zstandard.ZstdDecompressor().decompressobj()
        self._layout = _Layout()
        self.ended = False

    def update(self, data: memoryview) -> int:
        """Decompress more; how much of `data` belonged to the frame."""
        at = 0
        while at < len(data) and not self.ended:
            portion = data[at : at + self._layout.next_blocks(data[at:])]
            try:
                self._write(self._zstd.decompress(portion))
            except zstandard.ZstdError as error:
                raise EnvelopeError(
                    "its content begins as zstd does, but cannot be decompressed", "open it with --raw"
                ) from error
            self.ended = self._zstd.eof
            at += len(portion) - len(self._zstd.unused_data)
        return at


class _Layout:
    """Where the blocks of a frame lie, without looking into them (RFC 8878, 3.1.1 and 3.1.2)."""

    def __init__(self) -> None:
        self._header = bytearray()
        self._wanted = 5
        self._measure = self._after_magic
        self._body = 0
        self._checksum = 0
        self._low_octet = 0
        self._ends = False

    def next_blocks(self, data: memoryview) -> int:
        """How much of `data`, which goes on where the last call ended, makes a few blocks: at least 1."""
        at = blocks = 0
        while at < len(data) and blocks <= _BLOCKS_AT_ONCE:
            if self._body:
                step = min(self._body, len(data) - at)
                self._body -= step
            elif self._ends:
                # Whether the frame really ends here, zstd says.
                return at or len(data)
            else:
                step = min(self._wanted - len(self._header), len(data) - at)
                self._header += data[at : at + step]
                if len(self._header) == self._wanted:
                    self._measure(bytes(self._header))
                    self._header.clear()
                    blocks += 1
            at += step
        return at

    def _after_magic(self, header: bytes) -> None:
        if header.startswith(_SKIPPABLE):
            self._low_octet = header[4]
            self._wanted = 3
            self._measure = self._after_skippable_size
            return
        descriptor = header[4]
        single_segment = bool(descriptor & 0x20)
        content_size = _CONTENT_SIZE_SIZES[descriptor >> 6] or int(single_segment)
        self._body = content_size + _DICTIONARY_ID_SIZES[descriptor & 3] + (not single_segment)
        self._checksum = 4 if descriptor & 0x04 else 0
        self._wanted = 3
        self._measure = self._after_block_header

    def _after_skippable_size(self, header: bytes) -> None:
        self._body = self._low_octet | int.from_bytes(header, "little") << 8
        self._ends = True

    def _after_block_header(self, header: bytes) -> None:
        fields = int.from_bytes(header, "little")
        last, kind, size = fields & 1, fields >> 1 & 3, fields >> 3
        self._body = 1 if kind == _RLE else size
        if last:
            self._body += self._checksum
            self._ends = True
