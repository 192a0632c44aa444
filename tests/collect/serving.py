"""A collector on real sockets, in a thread of its own, for clients that block."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import uvloop

from khien.collect.counters import Counters
from khien.collect.http_server import HttpCollector
from khien.collect.keys import Key, new_key
from khien.collect.settings import Address, Config, Limits, Listen, Source, Tls
from khien.collect.spool import LaneReader, Parcel, Spool


@dataclass
class Served:
    collector: HttpCollector
    spool: Spool
    folder: Path
    keys: dict[str, Key]
    loop: asyncio.AbstractEventLoop
    config: Config
    port: int
    url: str = field(init=False)

    def __post_init__(self) -> None:
        scheme = "https" if self.config.listen.https else "http"
        self.url = f"{scheme}://127.0.0.1:{self.port}"

    @property
    def key(self) -> Key:
        return self.keys["web"]

    @property
    def counters(self) -> Counters:
        return self.collector.counters

    def parcels(self) -> list[Parcel]:
        reader, found, after = LaneReader(self.folder, 0), [], 0
        while got := reader.read(after):
            found += [parcel for _, parcel in got]
            after = got[-1][0]
        return found

    def lines(self) -> list[bytes]:
        return [line for parcel in self.parcels() for line in parcel.data.splitlines()]

    def send(
        self,
        path: str,
        body: bytes | None = b"",
        headers: dict[str, str] | None = None,
        key: Key | None = None,
        method: str = "POST",
    ) -> tuple[int, dict[str, str], bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            given = {"Authorization": f"ApiKey {(key or self.key).encoded}"} | (headers or {})
            connection.request(method, path, body, given)
            answer = connection.getresponse()
            return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
        finally:
            connection.close()


@contextlib.contextmanager
def serving(
    folder: Path,
    *,
    tls: Tls | None = None,
    limits: Limits | None = None,
    spool: dict[str, Any] | None = None,
    **sources: Any,
) -> Iterator[Served]:
    """Serve; `sources` are settings by id (default: one source `web`)."""
    keys = {name: new_key(name) for name in sources or {"web": {}}}
    made = tuple(
        Source(**({"id": name, "kind": "http", "keys": (key.hashed,)} | sources.get(name, {})))
        for name, key in keys.items()
    )
    here = (Address("127.0.0.1", 0),)
    listen = Listen(https=here, tls=tls) if tls else Listen(http=here)
    config = Config(listen, limits or Limits(), made)
    loop = uvloop.new_event_loop()
    started = threading.Event()
    box: list[Served] = []
    stop = asyncio.Event()

    async def run() -> None:
        store = Spool(folder, **(spool or {}))
        collector = HttpCollector(store, config, Counters(store))
        await collector.start()
        box.append(Served(collector, store, folder, keys, loop, config, collector.addresses[0][0].port))
        started.set()
        await stop.wait()
        await collector.stop(2)
        await store.close()

    thread = threading.Thread(target=lambda: loop.run_until_complete(run()), daemon=True)
    thread.start()
    assert started.wait(10)
    try:
        yield box[0]
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(10)
        loop.close()
