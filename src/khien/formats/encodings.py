"""Text in UTF-16 and UTF-32 as a stream of UTF-8, and streams that can be peeked at."""

from __future__ import annotations

import codecs
import io
from typing import BinaryIO

HEAD = 64 << 10
"""How many bytes are looked at to tell what an input is."""


class Peeked(io.RawIOBase):
    """A stream whose first bytes (`head`) were read already and come again."""

    def __init__(self, stream: BinaryIO, size: int = HEAD) -> None:
        super().__init__()
        self._stream = stream
        parts = []
        left = size
        while left > 0 and (data := stream.read(left)):
            parts.append(data)
            left -= len(data)
        self.head = b"".join(parts)
        self._at = 0

    def readable(self) -> bool:
        """It is."""
        return True

    def read(self, size: int = -1) -> bytes:
        """Up to `size` bytes."""
        if self._at < len(self.head):
            end = len(self.head) if size < 0 else self._at + size
            data = self.head[self._at : end]
            self._at += len(data)
            if size < 0 or len(data) < size:
                data += self._stream.read(size - len(data) if size >= 0 else -1)
            return data
        return self._stream.read(size)


class Recoded(io.RawIOBase):
    """A stream in another encoding, as UTF-8; what does not decode is replaced by U+FFFD."""

    def __init__(self, stream: BinaryIO, encoding: str) -> None:
        super().__init__()
        self._stream = stream
        self._decoder = codecs.getincrementaldecoder(encoding)("replace")
        self._ready = b""
        self._ended = False

    def readable(self) -> bool:
        """It is."""
        return True

    def read(self, size: int = -1) -> bytes:
        """Up to `size` bytes of UTF-8."""
        while not self._ended and (size < 0 or len(self._ready) < size):
            data = self._stream.read(max(size, HEAD) if size >= 0 else HEAD)
            self._ended = not data
            text = self._decoder.decode(data, final=self._ended)
            self._ready += text.encode("utf-8", "replace")
        if size < 0:
            size = len(self._ready)
        out, self._ready = self._ready[:size], self._ready[size:]
        return out


def text_encoding(head: bytes) -> str | None:
    """The encoding that the first bytes tell: "utf-16", "utf-32", "utf-8-sig" ...; None for plain bytes."""
    if head.startswith((b"\xff\xfe\x00\x00", b"\x00\x00\xfe\xff")):
        return "utf-32"
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "utf-16"
    if head.startswith(b"\xef\xbb\xbf"):
        return "utf-8-sig"
    sample = head[:4096]
    if len(sample) >= 8:
        half = len(sample) // 2
        wide = [sample[at::4].count(0) for at in range(4)]
        if min(wide[1:]) > half * 0.4 and wide[0] < half * 0.05:
            return "utf-32-le"
        if min(wide[:3]) > half * 0.4 and wide[3] < half * 0.05:
            return "utf-32-be"
        even, odd = sample[0::2].count(0), sample[1::2].count(0)
        if odd > half * 0.7 and even < half * 0.1:
            return "utf-16-le"
        if even > half * 0.7 and odd < half * 0.1:
            return "utf-16-be"
    return None
