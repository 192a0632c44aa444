"""Reads one lane of a spool, from any process, while it is being written."""

from __future__ import annotations

import os
from pathlib import Path

import zstandard

from khien.collect.positions import Head, lane_folder
from khien.collect.segments import HEADER, Frame, Parcel, Segment, SpoolError, frame_at, length, next_frame, segments
from khien.errors import Problem


class LaneReader:
    """Reads the parcels of one lane in order of their sequence numbers.

    Only what is synced to disk is seen. Damage is passed over: `problems` then holds what and where
    (the caller takes them out), `lost` counts the parcels that could not be read.
    """

    def __init__(self, folder: Path | str, lane: int) -> None:
        self._folder = lane_folder(Path(folder), lane)
        self._head = Head(Path(folder), lane)
        self._inflate = zstandard.ZstdDecompressor()
        self._segment: Segment | None = None
        self._handle = -1
        self._offset = 0
        self._done = 0
        self.problems: list[Problem] = []
        self.lost = 0
        self._told: set[tuple[Path, int, str]] = set()

    def last(self) -> int:
        """The sequence number of the last parcel synced to disk; 0 when there is none."""
        return self._head.load()

    def read(self, after: int, max_bytes: int = 8 << 20) -> list[tuple[int, Parcel]]:
        """The parcels with numbers above `after`, in order, until their data exceeds `max_bytes`.

        At least one when there is one, [] when there is nothing new. A gap in the numbers means
        parcels that are damaged (see `problems`) or, at the very start, already freed.
        """
        head = self.last()
        if after >= head:
            return []
        if self._segment is None or after != self._done:
            self._seek(after)
        found: list[tuple[int, Parcel]] = []
        size = 0
        while size < max_bytes and self._done < head:
            frame = self._next()
            if frame is None or frame.number > head:
                break
            self._offset = frame.end
            if frame.number <= self._done:
                continue
            if frame.number > self._done + 1 and self._done:
                self._miss(frame.number)
            self._done = frame.number
            try:
                parcel = frame.parcel(self._inflate)
            except (SpoolError, UnicodeDecodeError) as error:
                self.lost += 1
                self._report(self._offset, f"frame {frame.number} cannot be used: {error}")
                continue
            found.append((frame.number, parcel))
            size += len(parcel.data)
        return found

    def close(self) -> None:
        """Let go of the files."""
        self._open(None)
        self._head.close()

    def _open(self, segment: Segment | None) -> None:
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1
        self._segment = segment
        self._offset = 0
        if segment is not None:
            self._handle = os.open(segment.path, os.O_RDONLY | os.O_CLOEXEC)

    def _seek(self, after: int) -> None:
        """Go to the frame after number `after`, or to some frame before it."""
        self._done = after
        for _ in range(3):
            known = self._segments()
            before = [segment for segment in known if segment.first <= after + 1]
            if not known:
                return self._open(None)
            try:
                self._open(before[-1] if before else known[0])
            except FileNotFoundError:  # freed in between
                continue
            return self._skip(after)

    def _skip(self, after: int) -> None:
        """Pass frames by their headers alone; from the start again, with checksums, where these do not fit."""
        assert self._segment is not None
        number = self._segment.first - 1
        while number < after:
            header = os.pread(self._handle, HEADER.size, self._offset)
            size = length(header, self._segment.marker)
            if size is None or HEADER.unpack(header)[5] != number + 1:
                if header:
                    self._offset = 0
                return
            number += 1
            self._offset += size

    def _next(self) -> Frame | None:
        """The next whole frame, in this segment or a later one; None when there is none yet."""
        while self._segment is not None:
            frame = frame_at(self._handle, self._offset, self._segment.marker)
            if frame is not None:
                return frame
            if self._offset < os.fstat(self._handle).st_size:
                later = next_frame(self._handle, self._offset, self._segment.marker)
                if later is not None:
                    self._report(self._offset, f"{later[0] - self._offset} bytes are damaged and were passed over")
                    self._offset = later[0]
                    return later[1]
            following = [segment for segment in self._segments() if segment.first > self._segment.first]
            if not following:
                return None
            left = os.fstat(self._handle).st_size - self._offset
            if left > 0:
                self._report(self._offset, f"{left} bytes are damaged and were passed over")
            self._open(following[0])
        return None

    def _segments(self) -> list[Segment]:
        return segments(self._folder) if self._folder.is_dir() else []

    def _miss(self, number: int) -> None:
        gone = number - self._done - 1
        self.lost += gone
        self._report(self._offset, f"parcels {self._done + 1} to {number - 1} are missing", gone)

    def _report(self, offset: int, what: str, count: int = 1) -> None:
        path = self._segment.path if self._segment else self._folder
        if (path, offset, what) in self._told:
            return
        self._told.add((path, offset, what))
        remedy = "Check the disk; ask the senders of that time to send again"
        self.problems.append(Problem(str(path), f"offset {offset}", what, remedy, count))
