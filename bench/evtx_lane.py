"""An EVTX file of any size, made of the records of a few small ones.

A record's BinXML refers to templates by their place in the chunk; a record that does not bring its
template along can stand again and again behind those that do. So the chunks of recorded files are
filled up with copies of such records, with record numbers and chunk headers to match.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path

CHUNK = 65_536
_HEADER = 512


def write_lane(sources: Sequence[tuple[Path, Sequence[int]]], target: Path, records: int) -> int:
    """Write at least `records` records to `target`, a chunk from each source in turn; gives how many.

    With a source come the numbers (from 0) of those of its repeatable records that fill up its chunk.
    """
    filled = [(source.read_bytes()[4096 : 4096 + CHUNK], chosen) for source, chosen in sources]
    header = bytearray(sources[0][0].read_bytes()[:4096])
    number = 1
    chunks = 0
    with target.open("wb") as stream:
        stream.write(header)
        while number <= records:
            chunk, number = _fill(*filled[chunks % len(filled)], number)
            stream.write(chunk)
            chunks += 1
    return number - 1


def repeatable(source: Path) -> tuple[int, int]:
    """How many records a file's first chunk has of its own, and how many of them can be copied."""
    data = source.read_bytes()
    chunk = data[4096 : 4096 + CHUNK]
    return sum(1 for _ in _records(chunk)), len(_parts(chunk)[1])


def _records(chunk: bytes) -> Iterator[tuple[int, int]]:
    """(offset, size) of a chunk's records."""
    at, free = _HEADER, struct.unpack_from("<I", chunk, 48)[0]
    while at < free and chunk[at : at + 4] == b"**\0\0":
        size = struct.unpack_from("<I", chunk, at + 4)[0]
        yield at, size
        at += size


def _parts(chunk: bytes) -> tuple[int, list[bytes]]:
    """Where the chunk's own records end, and those that bring no template of their own."""
    end, repeatable = _HEADER, []
    for at, size in _records(chunk):
        template = struct.unpack_from("<I", chunk, at + 34)[0]
        if template != at + 38:
            repeatable.append(chunk[at : at + size])
        end = at + size
    return end, repeatable


def _fill(chunk: bytes, chosen: Sequence[int], first: int) -> tuple[bytes, int]:
    """The chunk full of records numbered from `first`, and the next number."""
    out = bytearray(chunk)
    end, found = _parts(chunk)
    repeated = [found[at] for at in chosen]
    number = first
    last = _HEADER
    for at, _ in _records(chunk):
        struct.pack_into("<Q", out, at + 8, number)
        number, last = number + 1, at
    turn = 0
    while end + len(record := repeated[turn % len(repeated)]) <= CHUNK:
        out[end : end + len(record)] = record
        struct.pack_into("<Q", out, end + 8, number)
        number, last, turn = number + 1, end, turn + 1
        end += len(record)
    out[end:] = bytes(CHUNK - end)
    struct.pack_into("<QQQQ", out, 8, first, number - 1, first, number - 1)
    struct.pack_into("<III", out, 44, last, end, zlib.crc32(out[_HEADER:end]))
    struct.pack_into("<I", out, 124, zlib.crc32(out[:120] + out[128:512]))
    return bytes(out), number
