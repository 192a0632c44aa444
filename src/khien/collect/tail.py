"""Follows log files into the spool: no line lost or doubled, over rotations, restarts and crashes."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import structlog

from khien.collect.checkpoints import CheckpointError, Checkpoints, Mark
from khien.collect.lane_reader import LaneReader
from khien.collect.limits import Bucket
from khien.collect.segments import Parcel, SpoolError, SpoolFull
from khien.collect.spool import Spool, lane_of
from khien.collect.tail_files import FollowedFiles, TailFigures
from khien.collect.tail_lines import READ, Followed, Piece

__all__ = ["CheckpointError", "Tail", "TailFigures", "TailLimits"]

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class TailLimits:
    """Bounds of a tail; sizes in bytes, times in seconds."""

    max_line: int = 1 << 20
    """Longest line; a longer one is cut off there and counted."""
    parcel_bytes: int = 1 << 20
    poll_seconds: float = 0.25
    """How often files are looked at for new lines."""
    scan_seconds: float = 1.0
    """How often patterns are looked at for new files."""
    partial_seconds: float = 30.0
    """A last line without a line feed is taken as it is when it has not grown for so long."""
    rotated_seconds: float = 30.0
    """A renamed or deleted file is let go when it has not grown for so long."""
    events_per_second: float = 0.0
    """The rate of the source, 0 for no limit."""


@dataclass(frozen=True, slots=True)
class _Harvest:
    data: bytes
    count: int
    moves: list[Mark]


class Tail:
    """Follows the files that glob `patterns` find (`**` for folders within), for one source.

    Every line goes to the spool once. `checkpoint_folder` keeps how far each file was read, in a
    file of its own per source. A crash between the append and its checkpoint is settled at the next
    `start` by looking into the spool, which therefore must be the same; start tails before other
    collectors. `from_end` skips what stands in the files at the very first start.
    """

    def __init__(
        self,
        spool: Spool,
        source: str,
        patterns: Iterable[str],
        checkpoint_folder: Path,
        *,
        format: str = "",
        from_end: bool = False,
        limits: TailLimits | None = None,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], int] = lambda: time.time_ns() // 1000,
    ) -> None:
        self.figures = TailFigures()
        self.source = source
        self._spool = spool
        self._patterns = tuple(patterns)
        self._file = checkpoint_folder / f"{source}.tail"
        self._format = format
        self._from_end = from_end
        self._limits = limits or TailLimits()
        self._clock = clock
        self._wall = wall
        self._bucket = Bucket(self._limits.events_per_second)
        self._stopping = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._scanned = -1e9
        self._next = 0
        self._stale = False  # offsets in memory may be ahead of what is in the spool
        self._checkpoints: Checkpoints
        self._files: FollowedFiles

    async def start(self) -> None:
        """Settle what a crash left open, then follow. Raises CheckpointError."""
        self._checkpoints = Checkpoints(self._file)
        try:
            await asyncio.to_thread(self._recover)
            marks = self._checkpoints.marks()
        except Exception:
            self._checkpoints.close()
            raise
        self._files = FollowedFiles(
            self._patterns,
            marks,
            self.figures,
            self._clock,
            from_end=self._from_end and not marks,
            rotated_seconds=self._limits.rotated_seconds,
        )
        self._stopping.clear()
        self._task = asyncio.create_task(self._run(), name=f"tail {self.source}")

    async def stop(self) -> None:
        """Finish the append that is under way, keep the marks, let go of the files."""
        self._stopping.set()
        if self._task is not None:
            await self._task
            self._task = None
            self._files.close()
            self._checkpoints.close()

    async def _run(self) -> None:
        pause = self._limits.poll_seconds
        while not self._stopping.is_set():
            try:
                if self._stale:
                    await asyncio.to_thread(self._begin_again)
                harvest = await asyncio.to_thread(self._harvest)
                if harvest is None:
                    await self._sleep(self._limits.poll_seconds)
                    continue
                await self._store(harvest)
                pause = self._limits.poll_seconds
            except Exception as error:  # a disk that fails may come back; the lines are still in their files
                log.error("tail_failed", source=self.source, error=str(error), kind=type(error).__name__)
                self._stale = True
                await self._sleep(pause)
                pause = min(2 * pause, 10.0)

    async def _store(self, harvest: _Harvest) -> None:
        parcel = Parcel(self.source, self._format, self._wall(), harvest.data, harvest.count)
        lane = lane_of(self.source, self._spool.lanes)
        await asyncio.to_thread(self._checkpoints.intend, lane, self._spool.last(lane), parcel, harvest.moves)
        while True:
            try:
                await self._spool.append(parcel)
                break
            except SpoolFull:
                self.figures.spool_full += 1
            except SpoolError as error:
                log.error("tail_append_failed", source=self.source, error=str(error))
            await self._sleep(0.2)
            if self._stopping.is_set():
                await asyncio.to_thread(self._checkpoints.drop)
                return
        self.figures.lines += harvest.count
        self.figures.bytes += len(harvest.data)
        self.figures.last = parcel.received
        self._bucket.take(harvest.count)
        if wait := self._bucket.wait():
            await asyncio.to_thread(self._checkpoints.settle)
            await self._sleep(wait)

    async def _sleep(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._stopping.wait(), seconds)

    def _harvest(self) -> _Harvest | None:
        """Lines for a parcel, in turn from all files that have some; None (and marks settled) when none has."""
        now = self._clock()
        if now - self._scanned >= self._limits.scan_seconds:
            self._scanned = now
            self._files.scan()
        ready = self._files.readable()
        self._checkpoints.put(self._files.placed, self._files.gone)
        self._files.placed, self._files.gone = [], []
        blocks: list[bytes] = []
        moves: dict[tuple[int, int], Mark] = {}
        size = count = 0
        start = self._next % len(ready) if ready else 0
        for file, ended, left in ready[start:] + ready[:start]:
            self._next += 1
            headed = file.headed()
            if headed and blocks:
                continue
            header = file.header() if headed and file.offset else b""
            piece = self._read(file, ended, left, now, READ if len(ready) > 1 else self._limits.parcel_bytes)
            if piece is None:
                continue
            moves[piece.mark.key] = piece.mark
            if piece.count:
                blocks.append(header + piece.data)
                size += len(piece.data)
                count += piece.count
            if size >= self._limits.parcel_bytes or headed:
                break
        if blocks:
            return _Harvest(b"".join(blocks), count, list(moves.values()))
        self._checkpoints.put(moves.values())
        self._checkpoints.settle()
        return None

    def _read(self, file: Followed, ended: bool, left: int, now: float, room: int) -> Piece | None:
        end = ended or now - file.grew_at > self._limits.partial_seconds
        try:
            piece = file.read(self._limits.max_line, end, room)
        except OSError as error:
            self.figures.unreadable[f"{file.path}: {error.strerror}"] += 1
            return None
        if piece is not None:
            self.figures.oversized += piece.oversized
            self.figures.partial += piece.partial
        return piece

    def _recover(self) -> None:
        """Find out whether the parcel that was being appended is in the spool."""
        pending = self._checkpoints.pending()
        if pending is None:
            return
        reader = LaneReader(self._spool.folder, pending.lane)
        after = pending.after
        try:
            while batch := reader.read(after):
                if after == pending.after and batch[0][0] > after + 1:
                    self.figures.undecided += 1
                    log.warning("tail_parcel_undecided", source=self.source, lines_may_be_doubled=True)
                if any(parcel.source == self.source and pending.is_(parcel) for _, parcel in batch):
                    self._checkpoints.settle()
                    return
                after = batch[-1][0]
        finally:
            reader.close()
        self._checkpoints.drop()

    def _begin_again(self) -> None:
        """After a failure, read on from the marks."""
        self._files.close()
        self._recover()
        self._files = FollowedFiles(
            self._patterns,
            self._checkpoints.marks(),
            self.figures,
            self._clock,
            rotated_seconds=self._limits.rotated_seconds,
        )
        self._scanned = -1e9
        self._stale = False
