"""Hits of many files in the order of their times, in bounded memory."""

from __future__ import annotations

import heapq
import tempfile
from collections.abc import Iterator
from typing import BinaryIO, cast

import msgspec

from khien.engine.hit import Hit

_MOST_HELD = 100_000


class HitSorter:
    """Takes hits in any order and gives them back by time; equal times keep the order of arrival.

    Beyond `most` hits, sorted runs go to an unlinked temporary file. `count` is how many were taken.
    """

    def __init__(self, most: int = _MOST_HELD) -> None:
        self._most = most
        self._held: list[Hit] = []
        self._runs: list[tuple[int, int]] = []
        self._file: BinaryIO | None = None
        self.count = 0

    def add(self, hit: Hit) -> None:
        """Take one hit."""
        self._held.append(hit)
        self.count += 1
        if len(self._held) >= self._most:
            self._spill()

    def _spill(self) -> None:
        if self._file is None:
            self._file = cast(BinaryIO, tempfile.TemporaryFile())
        self._held.sort(key=_time)
        start = self._file.seek(0, 2)
        encoder = msgspec.msgpack.Encoder()
        buffer = bytearray()
        for hit in self._held:
            data = encoder.encode(hit)
            buffer += len(data).to_bytes(4, "little") + data
            if len(buffer) > 1 << 20:
                self._file.write(buffer)
                buffer.clear()
        self._file.write(buffer)
        self._runs.append((start, self._file.tell()))
        self._held = []

    def _run(self, start: int, end: int) -> Iterator[Hit]:
        assert self._file is not None
        decoder = msgspec.msgpack.Decoder(Hit)
        data = b""
        at = start
        offset = 0
        while True:
            if len(data) - offset < 4 or len(data) - offset - 4 < int.from_bytes(data[offset : offset + 4], "little"):
                if at >= end:
                    return
                self._file.seek(at)
                more = self._file.read(min(1 << 18, end - at))
                at += len(more)
                data, offset = data[offset:] + more, 0
                continue
            size = int.from_bytes(data[offset : offset + 4], "little")
            offset += 4
            yield decoder.decode(data[offset : offset + size])
            offset += size

    def __iter__(self) -> Iterator[Hit]:
        self._held.sort(key=_time)
        return heapq.merge(*(self._run(*run) for run in self._runs), self._held, key=_time)


def _time(hit: Hit) -> int:
    return hit.time
