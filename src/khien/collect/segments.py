"""Parcels, and the segment files they stand in on disk.

A lane is a folder of append-only files `NUMBER-MARKER.seg`: NUMBER is the sequence number of the
first frame (20 digits), MARKER eight random bytes in hexadecimal. A frame is a header, then source,
format and data; it starts with the marker of its file, so that no event can pretend to be a frame
when a reader looks for the next good one behind damage. The checksum covers all but the marker.
"""

from __future__ import annotations

import os
import re
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import zstandard

from khien.errors import KhienError

# marker, checksum, bytes stored, bytes inflated, events, sequence number, received, source, format
HEADER = struct.Struct("<8sIIIIQqHH")
MAX_DATA = 256 << 20
"""Most bytes of events in a parcel."""
COMPRESS_FROM = 512
"""From how many bytes on data is compressed (zstd, level 1: about 1 us an event of 3.7 kB in batches
of a hundred, 40 times smaller; writing and syncing the raw bytes costs more)."""
SEGMENT_NAME = re.compile(r"(\d{20})-([0-9a-f]{16})\.seg")
CHUNK = 1 << 20


class SpoolError(KhienError):
    """The spool cannot be opened, written or read."""


class SpoolFull(SpoolError):
    """The spool takes nothing more for now; what it acknowledged is safe. Ask the sender to wait."""


@dataclass(frozen=True, slots=True)
class Parcel:
    """Whole events of one source, as they came.

    `format` is the name of a format of `khien.formats` ("json" for JSON lines, "syslog", ...) or
    "" when content tells; `received` is in microseconds since 1970 UTC; `data` holds `count`
    events, each ended by a newline.
    """

    source: str
    format: str
    received: int
    data: bytes
    count: int


@dataclass(frozen=True, slots=True)
class Segment:
    """A segment file: where it is, the number of its first frame, and its marker."""

    path: Path
    first: int
    marker: bytes


def segments(folder: Path) -> list[Segment]:
    """The segments of a lane's folder, the oldest first."""
    found = [
        Segment(path, int(match[1]), bytes.fromhex(match[2]))
        for path in folder.iterdir()
        if (match := SEGMENT_NAME.fullmatch(path.name))
    ]
    return sorted(found, key=lambda segment: segment.first)


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def new_segment(folder: Path, first: int) -> Segment:
    """The place of a new segment whose first frame will be number `first`."""
    marker = os.urandom(8)
    return Segment(folder / f"{first:020d}-{marker.hex()}.seg", first, marker)


def pack(parcel: Parcel, squeeze: zstandard.ZstdCompressor) -> tuple[bytes, bytes]:
    """What a frame of this parcel holds (its body), and its header with marker and number left open."""
    source, name = parcel.source.encode(), parcel.format.encode()
    data = parcel.data
    if len(data) >= COMPRESS_FROM:
        smaller = squeeze.compress(data)
        if len(smaller) < len(data):
            data = smaller
    sizes = (len(data), len(parcel.data), parcel.count, 0, parcel.received, len(source), len(name))
    return HEADER.pack(b"", 0, *sizes), source + name + data


def seal(header: bytes, body: bytes, marker: bytes, number: int) -> bytes:
    """The finished frame: `header` and `body` from `pack`, with its number and checksum."""
    fields = HEADER.unpack(header)
    header = HEADER.pack(marker, 0, *fields[2:5], number, *fields[6:])
    checksum = zlib.crc32(body, zlib.crc32(header[12:]))
    return header[:8] + checksum.to_bytes(4, "little") + header[12:] + body


@dataclass(frozen=True, slots=True)
class Frame:
    """A frame found in a segment: its number, its bytes, and where the next one starts."""

    number: int
    header: bytes
    body: bytes
    end: int

    def parcel(self, inflate: zstandard.ZstdDecompressor) -> Parcel:
        """The parcel inside; `SpoolError` when it does not inflate to what the header says."""
        _, _, stored, size, count, _, received, source, name = HEADER.unpack(self.header)
        data = self.body[source + name :]
        if stored != size:
            try:
                data = inflate.decompress(data, max_output_size=size)
            except zstandard.ZstdError as error:
                raise SpoolError(f"a frame does not inflate: {error}") from error
            if len(data) != size:
                raise SpoolError("a frame inflates to another size than it says")
        text = self.body[: source + name]
        return Parcel(text[:source].decode(), text[source:].decode(), received, data, count)


def length(header: bytes, marker: bytes) -> int | None:
    """How many bytes the frame with this header has in all; None when it is no header."""
    if len(header) < HEADER.size or header[:8] != marker:
        return None
    _, _, stored, size, _, _, _, source, name = HEADER.unpack(header)
    if stored > size or size > MAX_DATA:
        return None
    return int(HEADER.size + source + name + stored)


def frame_at(handle: int, offset: int, marker: bytes) -> Frame | None:
    """The whole frame at `offset` of an open segment; None when there is none or it is damaged."""
    header = os.pread(handle, HEADER.size, offset)
    size = length(header, marker)
    if size is None:
        return None
    body = os.pread(handle, size - HEADER.size, offset + HEADER.size)
    if len(body) != size - HEADER.size:
        return None
    if zlib.crc32(body, zlib.crc32(header[12:])) != int.from_bytes(header[8:12], "little"):
        return None
    return Frame(HEADER.unpack(header)[5], header, body, offset + size)


def next_frame(handle: int, offset: int, marker: bytes) -> tuple[int, Frame] | None:
    """The first whole frame at or after `offset`, and where it starts; None when there is none."""
    while chunk := os.pread(handle, CHUNK + len(marker) - 1, offset):
        at = chunk.find(marker)
        while at >= 0:
            if frame := frame_at(handle, offset + at, marker):
                return offset + at, frame
            at = chunk.find(marker, at + 1)
        offset += CHUNK
    return None


def frames(handle: int, marker: bytes) -> Iterator[tuple[int, Frame]]:
    """Every whole frame of an open segment with its offset, damage passed over."""
    offset = 0
    while True:
        frame = frame_at(handle, offset, marker)
        if frame is None:
            found = next_frame(handle, offset, marker)
            if found is None:
                return
            offset, frame = found
        yield offset, frame
        offset = frame.end
