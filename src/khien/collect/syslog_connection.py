"""One connection of syslog over TCP or TLS: framed, told to wait, never dropped."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from typing import TYPE_CHECKING, cast

import structlog

from khien.collect.syslog_framing import Framer, FramingError
from khien.collect.syslog_parcels import Gatherer
from khien.collect.syslog_peers import Peer, Transport, certificate_names, plain_address

if TYPE_CHECKING:
    from khien.collect.syslog_tcp import Streams

log = structlog.get_logger()
_KEEPALIVE = ((socket.TCP_KEEPIDLE, 60), (socket.TCP_KEEPINTVL, 20), (socket.TCP_KEEPCNT, 3))


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
