"""The durable spool: what was appended is on disk, in order, until every consumer has done with it."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import shutil
import threading
import time
import zlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from khien.collect.lane_reader import LaneReader
from khien.collect.lane_writer import LaneWriter, full
from khien.collect.positions import Position, positions
from khien.collect.segments import Parcel, SpoolError, SpoolFull, sync_folder
from khien.errors import Problem

__all__ = ["CONSUMERS", "LaneReader", "Parcel", "Position", "Spool", "SpoolError", "SpoolFull", "lane_of", "lanes_of"]

CONSUMERS = ("detect", "store")
SEGMENT_BYTES = 64 << 20
MAX_WAITING = 256 << 20
"""Most bytes that may wait in memory for the disk."""
MAX_GROUP = 16 << 20
"""About how many bytes of events share a sync at most."""
FREE_EVERY = 1.0


def lane_of(source: str, lanes: int) -> int:
    """Which lane (from 0) the parcels of a source go to; the same in every process and run."""
    return zlib.crc32(source.encode()) % lanes


def lanes_of(folder: Path | str) -> list[int]:
    """The lanes that exist in a spool's folder; more than are written to, after their number was lowered."""
    return sorted(int(place.name[5:]) for place in Path(folder).glob("lane-[0-9][0-9]"))


class Spool:
    """The writing side of a spool; one process at a time (`SpoolError` when another has it open).

    `max_bytes` is the most it takes on disk (compressed), `min_free` how many bytes it leaves free on
    its file system, `consumers` the names whose positions must have passed a segment before it is
    deleted. Opening recovers: a torn tail that was never acknowledged is cut off, everything
    acknowledged stays, and numbers go on where they were; `problems` tells of damage found.
    """

    def __init__(
        self,
        folder: Path | str,
        lanes: int = 1,
        max_bytes: int = 20 << 30,
        *,
        min_free: int = 0,
        consumers: Sequence[str] = CONSUMERS,
        segment_bytes: int = SEGMENT_BYTES,
    ) -> None:
        if not 1 <= lanes <= 100:
            raise SpoolError(f"a spool has 1 to 100 lanes, not {lanes}", str(folder))
        self.folder = Path(folder)
        self.lanes = lanes
        self.max_bytes = max_bytes
        self._min_free = min_free
        self._used = 0
        self._counting = threading.Lock()
        try:
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o750)
            sync_folder(self.folder.parent)
            self._claim = (self.folder / "lock").open("w")
            fcntl.flock(self._claim, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._claim.close()
            raise SpoolError("another process writes this spool", str(folder), "Stop it first") from None
        except OSError as error:
            raise SpoolError(f"the spool cannot be opened: {error.strerror}", str(folder)) from error
        size = max(64 << 10, min(segment_bytes, max_bytes // (8 * lanes)))
        try:
            self._writers = [
                LaneWriter(self.folder, lane, consumers, size, self._room, self._grown)
                for lane in sorted({*range(lanes), *lanes_of(folder)})
            ]
        except OSError as error:
            self._claim.close()
            raise SpoolError(f"the spool cannot be opened: {error.strerror}", str(folder)) from error
        self._queues = [_Queue(self, writer) for writer in self._writers[:lanes]]
        self._threads = ThreadPoolExecutor(max_workers=min(lanes, 4), thread_name_prefix="spool")
        self._closed = False

    @property
    def problems(self) -> list[Problem]:
        """Damage found when opening."""
        return [problem for writer in self._writers for problem in writer.problems]

    @property
    def used(self) -> int:
        """Bytes on disk."""
        return self._used

    @property
    def waiting(self) -> int:
        """Bytes of events in memory that wait for the disk."""
        return sum(queue.bytes for queue in self._queues)

    def last(self, lane: int) -> int:
        """The number of the last parcel synced in a lane."""
        return self._writers[lane].last

    def lag(self, lane: int) -> dict[str, int]:
        """How many parcels each consumer that has a position is behind in a lane."""
        last = self._writers[lane].last
        return {name: last - at for name, at in positions(self.folder, lane).items()}

    async def append(self, parcel: Parcel) -> int:
        """Append a parcel; returns its number in its lane once it is synced to disk.

        Raises `SpoolFull` when there is no room on disk or too much waits for it, `SpoolError` when
        the disk fails; the parcel is then not in the spool. If the caller is cancelled, it may be.
        """
        if self._closed:
            raise SpoolError("the spool is closed", str(self.folder))
        if self._used >= self.max_bytes or self.waiting + len(parcel.data) > MAX_WAITING:
            if not await self._make_room() or self.waiting + len(parcel.data) > MAX_WAITING:
                raise full(self.folder)
        return await self._queues[lane_of(parcel.source, self.lanes)].put(parcel)

    async def free(self) -> int:
        """Delete the segments that every consumer has passed, in all lanes; the bytes given back.

        The spool does this by itself while parcels come in.
        """
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, self._free)

    async def close(self) -> None:
        """Take nothing more, finish what waits, close the files."""
        if self._closed:
            return
        self._closed = True
        for queue in self._queues:
            await queue.finish()
        self._threads.shutdown(wait=True)
        for writer in self._writers:
            writer.close()
        self._claim.close()

    def _free(self) -> int:
        return sum(writer.free() for writer in self._writers)

    _asked = 0.0

    async def _make_room(self) -> bool:
        """Try to free something (not more often than every tenth of a second); whether there is room now."""
        now = time.monotonic()
        if now - self._asked >= 0.1:
            self._asked = now
            await self.free()
        return self._used < self.max_bytes

    def _room(self) -> int:
        room = self.max_bytes - self._used
        return min(room, shutil.disk_usage(self.folder).free - self._min_free) if self._min_free else room

    def _grown(self, size: int) -> None:
        with self._counting:
            self._used += size


class _Queue:
    """The parcels that wait for one lane's disk: while one group is being synced, the next gathers."""

    def __init__(self, spool: Spool, writer: LaneWriter) -> None:
        self._spool = spool
        self._writer = writer
        self._parcels: list[tuple[Parcel, asyncio.Future[int]]] = []
        self._task: asyncio.Task[None] | None = None
        self._freed = 0.0
        self.bytes = 0

    async def put(self, parcel: Parcel) -> int:
        future: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._parcels.append((parcel, future))
        self.bytes += len(parcel.data)
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run())
        return await future

    async def finish(self) -> None:
        if self._task is not None:
            await self._task

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        threads = self._spool._threads
        while self._parcels:
            group = self._take()
            parcels = [parcel for parcel, _ in group]
            try:
                answers = await loop.run_in_executor(threads, self._writer.write, parcels)
            except Exception as error:  # a fault of ours must not leave senders waiting for ever
                answers = [SpoolError(f"the spool failed: {error!r}", str(self._writer.folder))] * len(group)
            for (parcel, future), answer in zip(group, answers, strict=True):
                self.bytes -= len(parcel.data)
                if future.done():
                    continue
                if isinstance(answer, int):
                    future.set_result(answer)
                else:
                    future.set_exception(answer)
            if time.monotonic() - self._freed >= FREE_EVERY:
                self._freed = time.monotonic()
                with contextlib.suppress(OSError):
                    await loop.run_in_executor(threads, self._writer.free)

    def _take(self) -> list[tuple[Parcel, asyncio.Future[int]]]:
        size = taken = 0
        for parcel, _ in self._parcels:
            size += len(parcel.data)
            taken += 1
            if size >= MAX_GROUP:
                break
        group, self._parcels = self._parcels[:taken], self._parcels[taken:]
        return group
