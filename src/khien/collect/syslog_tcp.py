"""Syslog over TCP and TLS (RFC 6587, RFC 5425): accepting within limits, and what connections share."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

import structlog

from khien.collect.syslog_connection import Connection
from khien.collect.syslog_parcels import Gatherer, Limits
from khien.collect.syslog_peers import Origin, ResolveSource, plain_address

log = structlog.get_logger()
_SWEEP_SECONDS = 2.0
_QUIET_SECONDS = 0.3


@dataclass(slots=True)
class StreamFigures:
    """What happened on TCP and TLS connections since the start; reasons are plain words."""

    connections: int = 0
    """Connections taken."""
    open: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    closed: Counter[str] = field(default_factory=Counter)
    """Connections that were closed from here, by reason."""
    oversized: int = 0
    """Messages cut off at the longest length."""
    unfinished: int = 0
    """Messages that had begun when their connection ended; kept as far as they came."""
    pauses: int = 0
    """How often a connection was told to wait."""


class Streams:
    """All TCP and TLS connections of a listener and what they share."""

    def __init__(self, limits: Limits, resolve: ResolveSource, gatherer: Callable[[Origin], Gatherer]) -> None:
        self.limits = limits
        self.resolve = resolve
        self.gatherer = gatherer
        self.figures = StreamFigures()
        self.held = 0
        self.connections: set[Connection] = set()
        self.per_address: Counter[str] = Counter()
        self.loop = asyncio.get_running_loop()
        self._servers: list[asyncio.Server] = []
        self._accepting: dict[asyncio.Task[None], socket.socket] = {}
        self._handshakes: set[asyncio.Task[None]] = set()
        self._sweeper: asyncio.Task[None] | None = None

    async def listen(self, host: str, port: int, tls: ssl.SSLContext | None) -> int:
        """Accept connections on an address; the port number (useful when `port` is 0)."""
        if self._sweeper is None:
            self._sweeper = self.loop.create_task(self._sweep(), name="syslog sweep")
        if tls is None:
            server = await self.loop.create_server(lambda: Connection(self, "tcp"), host or None, port, backlog=1024)
            self._servers.append(server)
            return int(server.sockets[0].getsockname()[1])
        dual = not host and socket.has_dualstack_ipv6()
        family = socket.AF_INET6 if dual or ":" in host else socket.AF_INET
        listening = socket.create_server((host, port), family=family, backlog=1024, dualstack_ipv6=dual)
        listening.setblocking(False)
        name = f"syslog tls {listening.getsockname()[1]}"
        self._accepting[self.loop.create_task(self._accept(listening, tls), name=name)] = listening
        return int(listening.getsockname()[1])

    async def stop_accepting(self) -> None:
        """Close the listening sockets, and connections whose handshake is under way."""
        for server in self._servers:
            server.close()
        self._servers.clear()
        tasks = [*self._accepting, *self._handshakes]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for listening in self._accepting.values():
            listening.close()
        self._accepting.clear()

    async def _accept(self, listening: socket.socket, tls: ssl.SSLContext) -> None:
        """Accept for TLS, so that limits hold before a handshake and its failure is told."""
        while True:
            try:
                handle, name = await self.loop.sock_accept(listening)
            except OSError as error:  # out of file handles, or gone already
                log.warning("syslog_accept_failed", error=str(error))
                await asyncio.sleep(0.1)
                continue
            address = plain_address(name[0])
            if reason := self.take_in(address):
                self.figures.refused[reason] += 1
                handle.close()
                continue
            task = self.loop.create_task(self._shake_hands(handle, address, tls))
            self._handshakes.add(task)
            task.add_done_callback(self._handshakes.discard)

    async def _shake_hands(self, handle: socket.socket, address: str, tls: ssl.SSLContext) -> None:
        self.per_address[address] += 1
        try:
            await self.loop.connect_accepted_socket(
                lambda: Connection(self, "tls"),
                handle,
                ssl=tls,
                ssl_handshake_timeout=self.limits.handshake_seconds,
                ssl_shutdown_timeout=self.limits.drain_seconds,
            )
        except OSError as error:
            self.figures.refused[f"TLS handshake: {getattr(error, 'reason', None) or type(error).__name__}"] += 1
            log.info("syslog_handshake_failed", address=address, reason=str(error))
        finally:
            self.release(address)

    def release(self, address: str) -> None:
        """A connection of an address is no more."""
        self.per_address[address] -= 1
        if not self.per_address[address]:
            del self.per_address[address]

    async def drain(self) -> None:
        """Say goodbye to every sender, read what is under way for a while, end the connections."""
        for connection in tuple(self.connections):
            connection.say_goodbye()
        begun = self.loop.time()
        while self.connections and self.loop.time() < begun + self.limits.drain_seconds:
            await asyncio.sleep(0.02)
            if self.loop.time() - max((begun, *(each.last for each in self.connections))) > _QUIET_SECONDS:
                break
        for connection in tuple(self.connections):
            connection.close("stopped")
        while self.connections:
            await asyncio.sleep(0.005)
        if self._sweeper is not None:
            self._sweeper.cancel()
            self._sweeper = None

    def take_in(self, address: str) -> str:
        """Why a new connection from an address is refused; "" when it is not."""
        if len(self.connections) + len(self._handshakes) >= self.limits.connections:
            return "too many connections"
        if self.per_address[address] >= self.limits.connections_per_address:
            return "too many connections of one address"
        return ""

    def hold(self, change: int) -> None:
        """Account for unfinished messages in memory; give up the longest past the limit."""
        self.held += change
        if self.held > self.limits.held_bytes:
            max(self.connections, key=lambda each: each.held).close("unfinished messages take too much memory")

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(_SWEEP_SECONDS)
            now = self.loop.time()
            for connection in tuple(self.connections):
                connection.check(now)
