"""Writes one lane of a spool: recovers it, appends groups of parcels, frees what is done with."""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

import zstandard

from khien.collect.positions import Head, Position, lane_folder, positions
from khien.collect.segments import (
    MAX_DATA,
    Parcel,
    SpoolError,
    SpoolFull,
    frames,
    new_segment,
    next_frame,
    pack,
    seal,
    segments,
    sync_folder,
)
from khien.errors import Problem

NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class LaneWriter:
    """One lane, open for writing. Methods block: they are called in a thread, one at a time (a lock holds that).

    `room()` says how many bytes the whole spool may still take; `grown(n)` is told of every change.
    """

    def __init__(
        self,
        folder: Path,
        lane: int,
        consumers: Sequence[str],
        segment_bytes: int,
        room: Callable[[], int],
        grown: Callable[[int], None],
    ) -> None:
        self.folder = lane_folder(folder, lane)
        self.folder.mkdir(parents=True, exist_ok=True)
        sync_folder(folder)
        self.problems: list[Problem] = []
        self._positions = [Position(folder, lane, consumer) for consumer in consumers]
        self._segment_bytes = segment_bytes
        self._room = room
        self._grown = grown
        self._lock = threading.Lock()
        self._squeeze = zstandard.ZstdCompressor(level=1)
        self._head = Head(folder, lane)
        self._handle = -1
        self._size = 0
        self._segments = segments(self.folder)
        passed = max(positions(folder, lane).values(), default=0)
        self.last = self._recover(max(self._head.load(), passed))
        self._head.close()
        self._head.save(self.last)
        grown(sum(segment.path.stat().st_size for segment in self._segments))

    def write(self, group: Sequence[Parcel]) -> list[int | SpoolError]:
        """Append and sync a group; for each parcel its number, or why it was not taken."""
        with self._lock:
            return self._write(group)

    def free(self) -> int:
        """Delete the segments that every consumer has passed; how many bytes that gave back."""
        with self._lock:
            upto = min((position.load() for position in self._positions), default=0)
            if upto >= self.last and self._size and self._room() <= 0:
                self._roll()  # the open segment is all that stands in the way
            gone = 0
            while len(self._segments) > 1 and self._segments[1].first <= upto + 1:
                path = self._segments.pop(0).path
                size = path.stat().st_size if path.exists() else 0
                path.unlink(missing_ok=True)
                gone += size
            self._grown(-gone)
            return gone

    def close(self) -> None:
        """Close the files; everything is synced already."""
        with self._lock:
            if self._handle >= 0:
                os.close(self._handle)
                self._handle = -1
            self._head.close()

    def _recover(self, acknowledged: int) -> int:
        """Open the last segment, cut off what was never acknowledged; the last number in use."""
        if not self._segments:
            self._start(acknowledged + 1)
            return acknowledged
        segment = self._segments[-1]
        self._handle = os.open(segment.path, os.O_RDWR | os.O_APPEND | os.O_CLOEXEC)
        end, last, damaged = 0, segment.first - 1, False
        for offset, frame in frames(self._handle, segment.marker):
            damaged = damaged or offset != end
            end, last = frame.end, max(last, frame.number)
        size = os.fstat(self._handle).st_size
        if last >= acknowledged and not damaged:
            os.ftruncate(self._handle, end)
            os.fsync(self._handle)
            self._size = end
            return last
        # Acknowledged parcels are damaged: leave the bytes as they are for whoever can mend them.
        self._size = size
        what = f"parcels are damaged (whole ones up to number {last}, {acknowledged} were acknowledged)"
        self.problems.append(Problem(str(segment.path), f"offset {end}", what, "Check the disk"))
        last = max(last, acknowledged)
        if size:
            self._start(last + 1)
        else:
            self._replace_empty(last + 1)
        return last

    def _replace_empty(self, first: int) -> None:
        empty = self._segments.pop()
        self._start(first)
        if empty.first != first:
            empty.path.unlink(missing_ok=True)

    def _start(self, first: int) -> None:
        """Begin a new segment whose first frame will be number `first`."""
        segment = new_segment(self.folder, first)
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC
        handle = os.open(segment.path, flags, 0o640)
        try:
            sync_folder(self.folder)
        except OSError:
            os.close(handle)
            segment.path.unlink(missing_ok=True)
            raise
        if self._handle >= 0:
            os.close(self._handle)
        self._handle, self._size = handle, 0
        self._segments.append(segment)

    def _roll(self) -> None:
        if self._size:
            self._start(self.last + 1)

    def _write(self, group: Sequence[Parcel]) -> list[int | SpoolError]:
        answers: list[int | SpoolError] = []
        try:
            if self._size >= self._segment_bytes:
                self._roll()
        except OSError as error:
            return [self._refusal(error)] * len(group)
        marker = self._segments[-1].marker
        number, room, size = self.last, self._room(), 0
        chunks: list[bytes] = []
        for parcel in group:
            if len(parcel.data) > MAX_DATA:
                answers.append(SpoolError("a parcel is too large", str(self.folder), "Send smaller batches"))
                continue
            header, body = pack(parcel, self._squeeze)
            if size + len(header) + len(body) > room:
                answers.append(full(self.folder))
                continue
            number += 1
            chunks.append(seal(header, body, marker, number))
            size += len(chunks[-1])
            answers.append(number)
        if not chunks:
            return answers
        try:
            self._append(chunks)
            os.fdatasync(self._handle)
        except OSError as error:
            self._take_back()
            refusal = self._refusal(error)
            return [refusal if isinstance(answer, int) else answer for answer in answers]
        self._size += size
        self.last = number
        self._head.save(number)
        self._grown(size)
        return answers

    def _append(self, chunks: list[bytes]) -> None:
        left = memoryview(b"".join(chunks))
        while left:
            left = left[os.write(self._handle, left) :]

    def _take_back(self) -> None:
        """Cut off a group that was not written whole, or not synced: its senders were told no."""
        try:
            os.ftruncate(self._handle, self._size)
            os.fsync(self._handle)
        except OSError:
            # What the disk holds is unknown now. Leave the segment; numbers go on in a new one.
            self._abandon()

    def _abandon(self) -> None:
        found = next_frame(self._handle, self._size, self._segments[-1].marker)
        while found is not None:
            self.last = max(self.last, found[1].number)
            found = next_frame(self._handle, found[1].end, self._segments[-1].marker)
        self._size = self._segment_bytes

    def _refusal(self, error: OSError) -> SpoolError:
        if error.errno in NO_ROOM:
            return full(self.folder)
        return SpoolError(f"the spool cannot be written: {error.strerror}", str(self.folder), "Check the disk")


def full(folder: Path) -> SpoolFull:
    """The error that tells a sender to wait."""
    remedy = "Senders are asked to wait; check that the workers run, or give the spool more room"
    return SpoolFull("the spool is full", str(folder), remedy)
