"""Syslog from the network into the spool: UDP, TCP and TLS."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Sequence
from dataclasses import dataclass

import structlog

from khien.collect.syslog_parcels import AppendsParcels, Gatherer, Limits, SourceFigures
from khien.collect.syslog_peers import Origin, Peer, ResolveSource, Transport
from khien.collect.syslog_tcp import StreamFigures, Streams
from khien.collect.syslog_tls import CertificateError, tls_context
from khien.collect.syslog_udp import DatagramFigures, DatagramSocket, PortError

__all__ = [
    "CertificateError",
    "Endpoint",
    "Figures",
    "Limits",
    "Origin",
    "Peer",
    "PortError",
    "SyslogListener",
    "tls_context",
]

log = structlog.get_logger()
_COUNT_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An address to listen on; `host` "" is every address, IPv4 and IPv6; `port` 0 is any free one."""

    transport: Transport
    host: str = ""
    port: int = 0


@dataclass(frozen=True, slots=True)
class Figures:
    """What happened since the start; `sources` by source id."""

    streams: StreamFigures
    datagrams: DatagramFigures
    sources: dict[str, SourceFigures]


class SyslogListener:
    """Receives syslog on some endpoints and appends it to the spool, by source.

    Messages are stored as they came, one a line, format "syslog". Over TCP and TLS nothing that was
    read is dropped: a full spool, or a source over its rate, stops the reading. Datagrams are
    dropped only by the kernel, over the rate of their source or when `udp_waiting_bytes` wait for
    the spool; all is counted in `figures`. All methods belong to one event loop.
    """

    def __init__(
        self,
        spool: AppendsParcels,
        resolve_source: ResolveSource,
        endpoints: Sequence[Endpoint],
        *,
        tls: ssl.SSLContext | None = None,
        limits: Limits | None = None,
    ) -> None:
        self._spool = spool
        self._resolve = resolve_source
        self._endpoints = tuple(endpoints)
        self._tls = tls
        self._limits = limits or Limits()
        self._gatherers: dict[str, Gatherer] = {}
        self._sockets: list[DatagramSocket] = []
        self._streams: Streams | None = None
        self._datagrams = DatagramFigures()
        self._counter: asyncio.Task[None] | None = None
        self.ports: list[int] = []
        """The port of each endpoint, in their order, once started."""
        if tls is None and any(endpoint.transport == "tls" for endpoint in self._endpoints):
            raise CertificateError("a TLS endpoint without a certificate", remedy="Set a certificate and a key")
        if tls is not None:
            tls.num_tickets = 0  # see tls_context; any other context would lose the last messages of senders

    async def start(self) -> None:
        """Listen. Raises PortError; then nothing is listened on."""
        self._streams = Streams(self._limits, self._ask, self._gatherer)
        self.ports = []
        try:
            for endpoint in self._endpoints:
                self.ports.append(await self._listen(endpoint, self._streams))
        except PortError:
            await self.stop()
            raise
        self._counter = asyncio.create_task(self._count(), name="syslog figures")
        log.info(
            "syslog_started",
            endpoints=[f"{e.transport} {e.host or '*'}:{p}" for e, p in zip(self._endpoints, self.ports, strict=True)],
        )

    async def stop(self) -> int:
        """Take in what senders have under way, append it, and end.

        Returns how many messages were read and could not be appended in `stop_seconds`
        (0 unless the spool stayed full).
        """
        if self._streams is None:
            return 0
        if self._counter is not None:
            self._counter.cancel()
        await self._streams.stop_accepting()
        await asyncio.gather(self._streams.drain(), *(each.stop() for each in self._sockets))
        self._sockets.clear()
        finishing = [asyncio.create_task(gatherer.finish()) for gatherer in self._gatherers.values()]
        if finishing:
            _, late = await asyncio.wait(finishing, timeout=self._limits.stop_seconds)
            for task in late:
                task.cancel()
        left = sum(gatherer.give_up() for gatherer in self._gatherers.values())
        if left:
            log.error("syslog_stopped_with_messages_left", messages=left)
        return left

    def reload(self) -> None:
        """Ask `resolve_source` again for datagrams, and for connections that are made from now on."""
        for each in self._sockets:
            each.reload()

    def disconnect(self) -> None:
        """Close every connection, for senders to connect again under changed sources or certificates."""
        if self._streams is not None:
            for connection in tuple(self._streams.connections):
                connection.close("sources changed")

    @property
    def figures(self) -> Figures:
        """The counts up to now; kernel drops are up to five seconds old."""
        streams = self._streams.figures if self._streams is not None else StreamFigures()
        sources = {source: gatherer.figures for source, gatherer in self._gatherers.items()}
        return Figures(streams, self._datagrams, sources)

    async def _listen(self, endpoint: Endpoint, streams: Streams) -> int:
        if endpoint.transport == "udp":
            each = DatagramSocket(self._limits, self._ask, self._gatherer, self._datagrams)
            port = each.start(endpoint.host, endpoint.port)
            self._sockets.append(each)
            return port
        try:
            return await streams.listen(
                endpoint.host, endpoint.port, self._tls if endpoint.transport == "tls" else None
            )
        except OSError as error:
            what = f"TCP port {endpoint.port} cannot be had: {error.strerror}"
            raise PortError(what, endpoint.host, "Stop what uses it, or choose another") from error

    def _ask(self, peer: Peer) -> Origin | None:
        """Ask for a source; a question that fails refuses the sender."""
        try:
            return self._resolve(peer)
        except Exception as error:  # outside code must not end the listener
            log.error("syslog_source_not_told", address=peer.address, error=repr(error))
            return None

    def _gatherer(self, origin: Origin) -> Gatherer:
        gatherer = self._gatherers.get(origin.source)
        if gatherer is None:
            gatherer = self._gatherers[origin.source] = Gatherer(self._spool, origin, self._limits)
        gatherer.use(origin)
        return gatherer

    async def _count(self) -> None:
        while True:
            await asyncio.sleep(_COUNT_SECONDS)
            for each in self._sockets:
                each.count_drops()
