"""Zstandard streams that tell when they were cut off, which the library's reader does not."""

from __future__ import annotations

import io
from typing import BinaryIO, cast

import zstandard

_MAGIC = 0xFD2FB528
_SKIPPABLE = 0x184D2A50
_FIELD_SIZES = (0, 1, 2, 4), (0, 2, 4, 8)
"""Bytes of the dictionary id and of the content size by their flags (RFC 8878, 3.1.1.1)."""


class Frames:
    """Walks through the headers of frames and blocks as packed bytes pass by."""

    def __init__(self) -> None:
        self._ready = b""
        self._skip = 0
        self._in_frame = False
        self._checksum = 0

    @property
    def whole(self) -> bool:
        """Whether what passed ends with a frame."""
        return not (self._in_frame or self._skip or self._ready)

    def feed(self, data: bytes) -> None:
        """Take the next packed bytes."""
        data = self._ready + data
        at = 0
        while True:
            step = min(self._skip, len(data) - at)
            at, self._skip = at + step, self._skip - step
            if self._skip:
                break
            taken = self._block(data, at) if self._in_frame else self._header(data, at)
            if not taken:
                break
            at += taken
        self._ready = data[at:]

    def _header(self, data: bytes, at: int) -> int:
        """The size of the frame header at a place; 0 when it is not all there."""
        if len(data) - at < 8:
            return 0
        magic = int.from_bytes(data[at : at + 4], "little")
        if magic & ~0xF == _SKIPPABLE:
            self._skip = int.from_bytes(data[at + 4 : at + 8], "little")
            return 8
        flags = data[at + 4]
        single = flags >> 5 & 1
        self._in_frame = magic == _MAGIC
        self._checksum = 4 if flags & 4 else 0
        sizes = _FIELD_SIZES[0][flags & 3] + (_FIELD_SIZES[1][flags >> 6] or single)
        self._skip = sizes + (0 if single else 1)
        return 5

    def _block(self, data: bytes, at: int) -> int:
        if len(data) - at < 3:
            return 0
        header = int.from_bytes(data[at : at + 3], "little")
        repeated = header >> 1 & 3 == 1
        self._skip = 1 if repeated else header >> 3
        if header & 1:
            self._in_frame = False
            self._skip += self._checksum
        return 3


class ZstdStream(io.RawIOBase):
    """The content of a Zstandard stream of any number of frames. Raises EOFError where it was cut off."""

    def __init__(self, packed: BinaryIO) -> None:
        super().__init__()
        self._packed = packed
        self._frames = Frames()
        reader = zstandard.ZstdDecompressor(max_window_size=1 << 27)
        self._content = reader.stream_reader(cast(BinaryIO, self._Tap(self)), read_across_frames=True)

    class _Tap:
        def __init__(self, owner: ZstdStream) -> None:
            self._owner = owner

        def read(self, size: int) -> bytes:
            data = self._owner._packed.read(size)
            self._owner._frames.feed(data)
            return data

    def readable(self) -> bool:
        """It is."""
        return True

    def read(self, size: int = -1) -> bytes:
        """Up to `size` bytes."""
        data: bytes = self._content.read(size)
        if not data and size and not self._frames.whole:
            raise EOFError("Compressed file ended inside a frame")
        return data
