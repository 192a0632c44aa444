"""Syslog lines of one source on their way to the spool: gathered, appended in order, never dropped."""

from __future__ import annotations

import asyncio
import time
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

import structlog

from khien.collect.limits import Bucket
from khien.collect.spool import Parcel, SpoolFull
from khien.collect.syslog_peers import Origin

log = structlog.get_logger()


class AppendsParcels(Protocol):
    """The spool, as a collector sees it."""

    async def append(self, parcel: Parcel) -> object:
        """Return when the parcel is durable; raise SpoolFull when it was not taken."""


class Reader(Protocol):
    """A connection that can be told to wait."""

    def pause(self) -> None:
        """Stop reading."""

    def resume(self) -> None:
        """Go on reading."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of the syslog listeners; sizes in bytes, times in seconds."""

    max_line: int = 256 << 10
    """Longest message; a longer one is cut off there and counted."""
    parcel_bytes: int = 1 << 20
    parcel_seconds: float = 0.2
    """A parcel goes to the spool when it has this size or age."""
    waiting_bytes: int = 8 << 20
    """How much of one source may wait for the spool before its connections are not read any more."""
    udp_waiting_bytes: int = 64 << 20
    """How much of one source may wait for the spool before its datagrams are dropped (and counted)."""
    connections: int = 4096
    connections_per_address: int = 256
    held_bytes: int = 128 << 20
    """Unfinished messages of all connections together; past it, the longest one is given up."""
    message_seconds: float = 60.0
    """How long a message may take from its first to its last byte."""
    idle_seconds: float = 6 * 3600.0
    handshake_seconds: float = 10.0
    drain_seconds: float = 2.0
    """When stopping: how long to go on reading what senders have under way."""
    stop_seconds: float = 30.0
    """When stopping: how long to wait for the spool to take what was read."""
    receive_buffer: int = 64 << 20
    """Kernel buffer of a UDP socket; as root, or with CAP_NET_ADMIN, beyond net.core.rmem_max."""


@dataclass(slots=True)
class SourceFigures:
    """What one source sent since the start. `last` is when, in microseconds since 1970 UTC (0: never)."""

    messages: int = 0
    bytes: int = 0
    spooled: int = 0
    spool_full: int = 0
    rate_limited: int = 0
    """How often the source was made to wait for its rate."""
    last: int = 0
    dropped: Counter[str] = field(default_factory=Counter)
    """Datagrams dropped, by reason."""


class Gatherer:
    """Collects lines of one source into parcels and appends them one after the other.

    While too much waits for the spool, or the source is over its rates, its readers are paused.
    """

    def __init__(
        self,
        spool: AppendsParcels,
        origin: Origin,
        limits: Limits,
        clock: Callable[[], int] = lambda: time.time_ns() // 1000,
    ) -> None:
        self.source = origin.source
        self.figures = SourceFigures()
        self.waiting = 0
        self._spool = spool
        self._limits = limits
        self._clock = clock
        self._blocks: list[bytes] = []
        self._size = 0
        self._count = 0
        self._began = 0  # microseconds since 1970 UTC; 0 while nothing is gathered
        self._queue: deque[Parcel] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self._appender: asyncio.Task[None] | None = None
        self._readers: set[Reader] = set()
        self._loop = asyncio.get_running_loop()
        self.origin = Origin("")
        self.use(origin)
        self._release: asyncio.TimerHandle | None = None
        self.closed = False
        """Whether readers are paused."""

    def use(self, origin: Origin) -> None:
        """Take over changed rates and format."""
        if origin != self.origin:
            self.origin = origin
            self._events = Bucket(origin.events_per_second or 0)
            self._bytes = Bucket(origin.bytes_per_second or 0)

    @property
    def readers(self) -> int:
        """How many readers have joined."""
        return len(self._readers)

    def join(self, reader: Reader) -> None:
        """A reader begins to add lines; it may be paused at once."""
        self._readers.add(reader)
        if self.closed:
            reader.pause()

    def leave(self, reader: Reader) -> None:
        """A reader has ended."""
        self._readers.discard(reader)

    def add(self, block: bytes, count: int) -> None:
        """Take `count` whole lines; never refuses, but pauses the readers past the limits."""
        if not count:
            return
        if not self._began:
            self._began = self._clock()
            self._timer = self._loop.call_later(self._limits.parcel_seconds, self.cut)
        self._blocks.append(block)
        size = len(block)
        self._size += size
        self._count += count
        self.waiting += size
        figures = self.figures
        figures.messages += count
        figures.bytes += size
        if self._size >= self._limits.parcel_bytes:
            self.cut()
        self._events.take(count)
        self._bytes.take(size)
        self._hold_to_rates()
        if self.waiting >= self._limits.waiting_bytes:
            self._close()

    def over_rate(self) -> bool:
        """Whether the source has spent what its rate gives it; for datagrams, that cannot wait."""
        return self._release is not None

    def cut(self) -> None:
        """End the parcel being gathered and hand it to the spool."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if not self._began:
            return
        self.figures.last = self._clock()
        data = b"".join(self._blocks)
        self._queue.append(Parcel(self.source, self.origin.format, self._began, data, self._count))
        self._blocks, self._size, self._count, self._began = [], 0, 0, 0
        if self._appender is None:
            self._appender = self._loop.create_task(self._append(), name=f"syslog append {self.source}")

    async def finish(self) -> None:
        """Return when all that was added is durable in the spool."""
        self.cut()
        while self._appender is not None:
            await asyncio.shield(self._appender)

    def give_up(self) -> int:
        """Stop appending; how many messages were not taken by the spool."""
        if self._appender is not None:
            self._appender.cancel()
        return self.figures.messages - self.figures.spooled

    async def _append(self) -> None:
        try:
            while self._queue:
                parcel = self._queue[0]
                await self._append_one(parcel)
                self._queue.popleft()
                self.figures.spooled += parcel.count
                self.waiting -= len(parcel.data)
                self._open()
        finally:
            self._appender = None

    async def _append_one(self, parcel: Parcel) -> None:
        pause = 0.05
        while True:
            try:
                await self._spool.append(parcel)
            except SpoolFull:
                self.figures.spool_full += 1
            except Exception as error:  # a spool that fails is a spool that may come back: wait, never drop
                log.error("syslog_append_failed", source=self.source, error=str(error), kind=type(error).__name__)
            else:
                return
            await asyncio.sleep(pause)
            pause = min(pause * 2, 1.0)

    def _hold_to_rates(self) -> None:
        wait = max(self._events.wait(), self._bytes.wait())
        if wait > 0 and self._release is None:
            self.figures.rate_limited += 1
            self._release = self._loop.call_later(wait, self._released)
            self._close()

    def _released(self) -> None:
        self._release = None
        self._hold_to_rates()
        self._open()

    def _close(self) -> None:
        if not self.closed:
            self.closed = True
            for reader in self._readers:
                reader.pause()

    def _open(self) -> None:
        if self.closed and self._release is None and self.waiting < self._limits.waiting_bytes // 2:
            self.closed = False
            for reader in tuple(self._readers):
                if self.closed:  # closed again by what the one before had to give
                    break
                reader.resume()
