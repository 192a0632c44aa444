"""Sketches: which row groups of a file may hold a text, told without reading them.

A sketch marks every run of four bytes, and every run of three, that occurs in the text of a row group (letters' case
folded), in a bitmap of 2^18 places each: hashed for four bytes; for three, each run has a place of its own. A text can
be in a row group only where all its runs are marked. Sketches stand beside the data files, in `_sketch/`, transposed:
for each place one bit a row group, so that a search reads a few bytes; the few runs of three there are stand behind,
compressed. They are an aid: a file without one is searched through, one without runs of three tells those of four.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, Final

import numpy as np
import pyarrow as pa
import zstandard

from khien.lake.storage import Storage

_MAGIC: Final = b"KHSKT001"
_HEADER: Final = struct.Struct("<8sII")
_BITS: Final = 18
_PLACES: Final = 1 << _BITS
_RUN: Final = 4
_SHORT: Final = 3
_SHORT_FOLD: Final = 0x5F5F5F  # ASCII without the bit of the case
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
        marks = np.zeros(2 * _PLACES, np.bool_)
        short = np.zeros(_SHORT_FOLD + 1, np.bool_)
        for name in _TEXTS:
            for chunk in table.column(name).chunks:
                _mark(_bytes_of(chunk), marks, short)
        marks[_short_places(np.flatnonzero(short))] = True
        times = table.column("time").cast(pa.int64())
        self._groups.append((table.num_rows, times[0].as_py(), times[-1].as_py()))
        self._maps.append(np.packbits(marks))

    def encode(self) -> bytes:
        """The sketch as it is stored."""
        count = len(self._groups)
        head = _HEADER.pack(_MAGIC, _BITS, count) + np.array(self._groups, "<i8").tobytes()
        rows = np.zeros((2 * _PLACES, (count + 7) // 8), np.uint8)
        for at in range(0, count, 8):
            eight = np.stack([np.unpackbits(each) for each in self._maps[at : at + 8]], axis=1)
            rows[:, at // 8] = np.packbits(eight, axis=1)[:, 0]
        return head + rows[:_PLACES].tobytes() + zstandard.compress(rows[_PLACES:].tobytes())


def sketch_path(table: str, data_path: str) -> str:
    """Where the sketch of a data file lies, relative to the lake's root."""
    return f"{table}/_sketch/{PurePosixPath(data_path).stem}.sketch"


def runs(text: str) -> list[int]:
    """The places of a text's runs: of those of three bytes where it has none of four; empty where it has neither.

    Only runs of ASCII can be told.
    """
    data = text.encode("utf-8", "surrogatepass")
    words = _words(data, _RUN)
    if words:
        return sorted({((word | 0x20202020) * _FACTOR & 0xFFFFFFFF) >> (32 - _BITS) for word in words})
    return sorted({int(_short_places(word & _SHORT_FOLD)) for word in _words(data, _SHORT)})


def _words(data: bytes, length: int) -> set[int]:
    pieces = (data[at : at + length] for at in range(len(data) - length + 1))
    return {int.from_bytes(piece, "little") for piece in pieces if piece.isascii()}


def candidates(storage: Storage, path: str, places: Sequence[int]) -> list[Group] | None:
    """The row groups where all these places are marked: those of the `runs` of texts.

    `path` is the sketch's. None where there is no sketch that can be read: search the whole file.
    """
    try:
        with storage.open(path) as stream:
            return _candidates(stream if storage.local else pa.BufferReader(stream.read()), places)
    except (OSError, struct.error, ValueError, zstandard.ZstdError):
        return None


def _candidates(stream: Any, places: Sequence[int]) -> list[Group] | None:
    magic, bits, count = _HEADER.unpack(stream.read(_HEADER.size))
    if magic != _MAGIC or bits != _BITS:
        return None
    groups = np.frombuffer(stream.read(count * 24), "<i8").reshape(count, 3)
    width = (count + 7) // 8
    start = _HEADER.size + count * 24
    rows = []
    for place in places:
        if place < _PLACES:
            stream.seek(start + place * width)
            rows.append(stream.read(width))
    if any(place >= _PLACES for place in places):
        stream.seek(start + _PLACES * width)
        if packed := stream.read(2 * _PLACES * width):
            short = zstandard.decompress(packed, max_output_size=_PLACES * width)
            at = [(place - _PLACES) * width for place in places if place >= _PLACES]
            rows += [short[begin : begin + width] for begin in at]
    kept = np.full(width, 0xFF, np.uint8)
    for row in rows:
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


def _mark(text: Any, marks: Any, short: Any) -> None:
    """Mark the runs of four at their places, and those of three by their folded bytes."""
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
            np.bitwise_and(part, np.uint32(_SHORT_FOLD), out=hashed)  # the first three bytes of the four
            indexes[:] = hashed
            short[indexes] = True
    if len(text) >= _SHORT:  # the last run of three begins none of four
        short[int.from_bytes(text[-_SHORT:].tobytes(), "little") & _SHORT_FOLD] = True


def _short_places(words: Any) -> Any:
    """The places of runs of three by their folded bytes: six bits of each byte, side by side."""
    six = (words & 0x1F1F1F) | (words & 0x404040) >> 1
    return (six & 0x3F | six >> 2 & 0xFC0 | six >> 4 & 0x3F000) + _PLACES
