"""Syslog over TCP and TLS (RFC 6587, RFC 5425): one protocol a connection, told to wait, never dropped."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import structlog

from khien.collect.syslog_framing import Framer, FramingError
from khien.collect.syslog_parcels import Gatherer, Limits
from khien.collect.syslog_peers import Origin, Peer, ResolveSource, Transport, certificate_names, plain_address
from khien.errors import KhienError

log = structlog.get_logger()
_SWEEP_SECONDS = 2.0
_QUIET_SECONDS = 0.3
_KEEPALIVE = ((socket.TCP_KEEPIDLE, 60), (socket.TCP_KEEPINTVL, 20), (socket.TCP_KEEPCNT, 3))


class CertificateError(KhienError):
    """The certificate, key or client CA of a TLS listener cannot be used."""


def tls_context(
    certificate: Path, key: Path | None = None, client_ca: Path | None = None, require_client: bool = False
) -> ssl.SSLContext:
    """A server context for RFC 5425: TLS 1.2 or newer, PEM files.

    With `client_ca`, client certificates are verified when sent, and demanded when
    `require_client`. Raises CertificateError.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    # Senders of syslog never read. Session tickets left unread make their kernel reset the connection
    # when they close it, and a reset throws away what they had sent last.
    context.num_tickets = 0
    try:
        context.load_cert_chain(certificate, key)
        if client_ca is not None:
            context.load_verify_locations(client_ca)
            context.verify_mode = ssl.CERT_REQUIRED if require_client else ssl.CERT_OPTIONAL
    except (OSError, ssl.SSLError) as error:
        place = ", ".join(str(path) for path in (certificate, key, client_ca) if path is not None)
        raise CertificateError(f"the certificate cannot be used: {error}", place, "Give PEM files that fit") from error
    if require_client and client_ca is None:
        raise CertificateError("client certificates are demanded without a CA to verify them", remedy="Set a client CA")
    return context


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


class Connection(asyncio.Protocol):
    """One sender. Bytes are framed and given to the gatherer of its source."""

    __slots__ = (
        "_address", "_early", "_ended", "_framer", "_gatherer", "_paused", "_streams", "_transport", "_transport_name",
        "_unfinished_since", "held", "last",
    )  # fmt: skip

    def __init__(self, streams: Streams, transport_name: Transport) -> None:
        self._streams = streams
        self._transport_name = transport_name
        self._transport: asyncio.Transport | None = None
        self._framer = Framer(streams.limits.max_line)
        self._gatherer: Gatherer | None = None
        self._address = ""
        self._early = b""  # what was read while paused
        self.last = streams.loop.time()
        self._unfinished_since = 0.0
        self._paused = False
        self._ended = False
        self.held = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport = cast(asyncio.Transport, transport)  # that of uvloop is none by name
        streams = self._streams
        self._transport = transport
        name = transport.get_extra_info("peername")
        if not name:  # gone already
            self._refuse("gone at once")
            return
        address = plain_address(name[0])
        if self._transport_name == "tcp" and (reason := streams.take_in(address)):
            self._refuse(reason)
            return
        self._address = address
        streams.per_address[address] += 1
        streams.connections.add(self)
        streams.figures.connections += 1
        streams.figures.open += 1
        handle = transport.get_extra_info("socket")
        with contextlib.suppress(OSError):  # gone already
            handle.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            for option, value in _KEEPALIVE:
                handle.setsockopt(socket.IPPROTO_TCP, option, value)
        self._identify(transport)

    def _identify(self, transport: asyncio.Transport) -> None:
        info = transport.get_extra_info
        names = certificate_names(info("peercert")) if self._transport_name == "tls" else ()
        peer = Peer(self._transport_name, self._address, info("sockname")[1], names)
        origin = self._streams.resolve(peer)
        if origin is None:
            log.info("syslog_sender_refused", address=peer.address, transport=peer.transport, names=list(peer.names))
            self._refuse("no source for this sender")
            return
        gatherer = self._streams.gatherer(origin)
        if origin.connections and gatherer.readers >= origin.connections:
            self._refuse("too many connections of one source")
            return
        if origin.max_line is not None:
            self._framer.max_line = origin.max_line
        self._gatherer = gatherer
        gatherer.join(self)

    def _refuse(self, reason: str) -> None:
        assert self._transport is not None
        self._streams.figures.refused[reason] += 1
        self._ended = True
        self._transport.abort()

    def data_received(self, data: bytes) -> None:
        gatherer = self._gatherer
        if self._ended or gatherer is None:
            return
        if self._paused:  # uvloop begins to read after it was told not to
            self._early += data
            if self._transport is not None:
                self._transport.pause_reading()
            return
        framer, streams = self._framer, self._streams
        cut_before = framer.oversized
        try:
            block, count = framer.feed(data)
        except FramingError as error:
            gatherer.add(*error.lines)
            log.info("syslog_wrong_framing", address=self._address, source=gatherer.source, what=error.what)
            self.close(error.what)
            return
        self.last = streams.loop.time()
        if count:
            gatherer.add(block, count)
        if framer.oversized != cut_before:
            streams.figures.oversized += framer.oversized - cut_before
        if framer.amid:
            if count or not self._unfinished_since:
                self._unfinished_since = self.last
        else:
            self._unfinished_since = 0.0
        if framer.held != self.held:
            change, self.held = framer.held - self.held, framer.held
            streams.hold(change)

    def eof_received(self) -> None:
        """The sender has ended; nothing is left to say to it."""

    def connection_lost(self, error: Exception | None) -> None:
        streams = self._streams
        if self not in streams.connections:
            return
        streams.connections.discard(self)
        streams.figures.open -= 1
        streams.release(self._address)
        if self._gatherer is not None:
            self._finish(self._gatherer)

    def _take_early(self) -> None:
        if self._early:
            data, self._early = self._early, b""
            self.data_received(data)

    def _finish(self, gatherer: Gatherer) -> None:
        self._paused = False
        self._take_early()
        block, count = self._framer.remains()
        self._streams.figures.unfinished += count
        gatherer.add(block, count)
        gatherer.leave(self)
        change, self.held = -self.held, 0
        self._streams.hold(change)

    def pause(self) -> None:
        """Stop reading: TCP tells the sender to wait."""
        if self._transport is not None and not self._paused and not self._transport.is_closing():
            self._paused = True
            self._streams.figures.pauses += 1
            self._transport.pause_reading()

    def resume(self) -> None:
        """Go on reading."""
        if self._transport is not None and self._paused:
            self._paused = False
            self.last = self._streams.loop.time()
            if self._unfinished_since:
                self._unfinished_since = self.last
            self._take_early()
            if not self._paused and not self._transport.is_closing():
                self._transport.resume_reading()

    def say_goodbye(self) -> None:
        """Let the sender see the end of the connection, and go on reading what it has under way."""
        if self._transport is not None and self._transport.can_write_eof():
            self._transport.write_eof()

    def close(self, reason: str) -> None:
        """End the connection from here."""
        self._paused = False
        self._take_early()
        if self._transport is not None and not self._ended and self in self._streams.connections:
            self._ended = True
            self._streams.figures.closed[reason] += 1
            self._transport.abort()

    def check(self, now: float) -> None:
        """Close when a message takes too long, or nothing came for too long."""
        limits = self._streams.limits
        if self._paused or self._gatherer is None:
            return
        if self._unfinished_since and now - self._unfinished_since > limits.message_seconds:
            self.close("a message took too long")
        elif now - self.last > limits.idle_seconds:
            self.close("idle")
