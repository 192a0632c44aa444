"""Sketches: which row groups of a file may hold a text, told without reading them.

A sketch marks every run of four bytes (letters' case folded) that occurs in the text of a row group in a
bitmap of 2^18 places. A text can be in a row group only where all its runs are marked. Sketches stand beside the
data files, in `_sketch/`, transposed: for each place one bit a row group, so that a search reads a few bytes.
They are an aid: a file without one is searched through.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, Final

import numpy as np
import pyarrow as pa

from khien.lake.storage import Storage

_MAGIC: Final = b"KHSKT001"
_HEADER: Final = struct.Struct("<8sII")
_BITS: Final = 18
_RUN: Final = 4
_FACTOR: Final = 0x9E3779B1
_CHUNK: Final = 1 << 13  # what the processor's nearest cache holds: twice as fast as larger ones
_TEXTS: Final = ("event", "raw")


@dataclass(frozen=True, slots=True)
class Group:
    """A row group: its number in the file, the number of its first row, its rows, its least and greatest time.

    Times are microseconds since 1970-01-01 UTC.
    """

    number: int
    start: int
    rows: int
    first: int
    last: int


class SketchBuilder:
    """Collects the sketch of one file, row group by row group, in the order they are written."""

    def __init__(self) -> None:
        self._groups: list[tuple[int, int, int]] = []
        self._maps: list[Any] = []

    def add(self, table: pa.Table) -> None:
        """Take in a row group, in order of time."""
        marks = np.zeros(1 << _BITS, np.bool_)
        for name in _TEXTS:
            for chunk in table.column(name).chunks:
                _mark(_bytes_of(chunk), marks)
        times = table.column("time").cast(pa.int64())
        self._groups.append((table.num_rows, times[0].as_py(), times[-1].as_py()))
        self._maps.append(np.packbits(marks))

    def encode(self) -> bytes:
        """The sketch as it is stored."""
        count = len(self._groups)
        head = _HEADER.pack(_MAGIC, _BITS, count) + np.array(self._groups, "<i8").tobytes()
        rows = np.zeros((1 << _BITS, (count + 7) // 8), np.uint8)
        for at in range(0, count, 8):
            eight = np.stack([np.unpackbits(each) for each in self._maps[at : at + 8]], axis=1)
            rows[:, at // 8] = np.packbits(eight, axis=1)[:, 0]
        return head + rows.tobytes()


def sketch_path(table: str, data_path: str) -> str:
    """Where the sketch of a data file lies, relative to the lake's root."""
    return f"{table}/_sketch/{PurePosixPath(data_path).stem}.sketch"


def runs(text: str) -> list[int]:
    """The places of a text's runs; empty where it has none that the sketch can tell (too short, not ASCII)."""
    data = text.encode("utf-8", "surrogatepass")
    places = set()
    for at in range(len(data) - _RUN + 1):
        run = data[at : at + _RUN]
        if max(run) < 0x80:
            word = int.from_bytes(bytes(byte | 0x20 for byte in run), "little")
            places.add((word * _FACTOR & 0xFFFFFFFF) >> (32 - _BITS))
    return sorted(places)


def candidates(storage: Storage, path: str, texts: Iterable[Sequence[int]]) -> list[Group] | None:
    """The row groups that may hold every one of the texts (each given by its `runs`).

    `path` is the sketch's. None where there is no sketch that can be read: search the whole file.
    """
    try:
        with storage.open(path) as stream:
            return _candidates(stream, texts, storage.local is None)
    except (OSError, struct.error, ValueError):
        return None


def _candidates(stream: Any, texts: Iterable[Sequence[int]], remote: bool) -> list[Group] | None:
    magic, bits, count = _HEADER.unpack(stream.read(_HEADER.size))
    if magic != _MAGIC or bits != _BITS:
        return None
    groups = np.frombuffer(stream.read(count * 24), "<i8").reshape(count, 3)
    width = (count + 7) // 8
    start = _HEADER.size + count * 24
    data = stream.read() if remote else b""
    kept = np.full(width, 0xFF, np.uint8)
    for place in sorted({place for text in texts for place in text}):
        if remote:
            row = data[place * width : (place + 1) * width]
        else:
            stream.seek(start + place * width)
            row = stream.read(width)
        if len(row) != width:
            return None
        kept &= np.frombuffer(row, np.uint8)
    starts = np.concatenate([[0], np.cumsum(groups[:, 0])])
    return [
        Group(int(at), int(starts[at]), *(int(each) for each in groups[at]))
        for at in np.flatnonzero(np.unpackbits(kept)[:count])
    ]


def _bytes_of(column: pa.Array) -> Any:
    """All texts of a column, one after another; runs over their borders do no harm."""
    buffers = column.buffers()
    if buffers[2] is None or not len(column):
        return np.zeros(0, np.uint8)
    offsets = np.frombuffer(buffers[1], np.int32)[column.offset : column.offset + len(column) + 1]
    return np.frombuffer(buffers[2], np.uint8)[offsets[0] : offsets[-1]]


def _mark(text: Any, marks: Any) -> None:
    words, places = np.empty(_CHUNK, np.uint32), np.empty(_CHUNK, np.intp)
    for shift in range(_RUN):
        runs_ = text[shift : shift + max(0, len(text) - shift) // _RUN * _RUN].view(np.uint32)
        for at in range(0, len(runs_), _CHUNK):
            part = runs_[at : at + _CHUNK]
            hashed, indexes = words[: len(part)], places[: len(part)]
            np.bitwise_or(part, np.uint32(0x20202020), out=hashed)
            np.multiply(hashed, np.uint32(_FACTOR), out=hashed)
            np.right_shift(hashed, np.uint32(32 - _BITS), out=hashed)
            indexes[:] = hashed
            marks[indexes] = True
