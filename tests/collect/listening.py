"""What the tests of collectors share: a loop, a spool in memory, a listener, senders."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import uvloop

from khien.collect.lane_reader import LaneReader
from khien.collect.segments import Parcel
from khien.collect.spool import SpoolFull
from khien.collect.syslog import Endpoint, Limits, Origin, Peer, SyslogListener

LIMITS = Limits(parcel_seconds=0.05, drain_seconds=1.0, stop_seconds=5.0)
HOST = "127.0.0.1"


class Memory:
    """A spool that can be told to be full."""

    def __init__(self) -> None:
        self.parcels: list[Parcel] = []
        self.full = False

    async def append(self, parcel: Parcel) -> int:
        if self.full:
            raise SpoolFull("full")
        self.parcels.append(parcel)
        return len(self.parcels)

    def lines(self) -> list[bytes]:
        return [line for parcel in self.parcels for line in parcel.data.split(b"\n")[:-1]]


def everyone(peer: Peer) -> Origin | None:
    return Origin(peer.names[0] if peer.names else "office")


@contextlib.asynccontextmanager
async def listening(
    spool: object,
    *transports: str,
    limits: Limits = LIMITS,
    resolve: Callable[[Peer], Origin | None] = everyone,
    tls: ssl.SSLContext | None = None,
) -> AsyncIterator[SyslogListener]:
    endpoints = [Endpoint(transport, HOST) for transport in transports]  # type: ignore[arg-type]
    listener = SyslogListener(spool, resolve, endpoints, limits=limits, tls=tls)  # type: ignore[arg-type]
    await listener.start()
    try:
        yield listener
    finally:
        await listener.stop()


def count(listener: SyslogListener, source: str = "office") -> int:
    """How many messages of a source are in the spool."""
    figures = listener.figures.sources.get(source)
    return figures.spooled if figures else 0


async def until(true: Callable[[], object], seconds: float = 10.0) -> None:
    async with asyncio.timeout(seconds):
        while not true():
            await asyncio.sleep(0.01)


async def send(port: int, data: bytes, close: bool = True, **kwargs: object) -> asyncio.StreamWriter:
    _, writer = await asyncio.open_connection(HOST, port, **kwargs)  # type: ignore[arg-type]
    writer.write(data)
    await writer.drain()
    if close:
        writer.close()
    return writer


def spooled(folder: Path) -> list[Parcel]:
    reader = LaneReader(folder, 0)
    found: list[Parcel] = []
    after = 0
    while batch := reader.read(after):
        found += [parcel for _, parcel in batch]
        after = batch[-1][0]
    return found


def in_loop(test: Callable[..., Awaitable[None]]) -> Callable[..., None]:
    """Run a test function in an event loop of its own, a minute at most; KHIEN_LOOP=asyncio for the other loop."""

    @functools.wraps(test)
    def run(*args: object, **kwargs: object) -> None:
        async def bounded() -> None:
            async with asyncio.timeout(60):
                await test(*args, **kwargs)

        loop = None if os.environ.get("KHIEN_LOOP") == "asyncio" else uvloop.new_event_loop
        with asyncio.Runner(loop_factory=loop) as runner:
            runner.run(bounded())

    return run
