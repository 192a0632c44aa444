"""Syslog over UDP (RFC 5426): a thread that does nothing but receive, and what happens after it."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import structlog

from khien.collect.line_bounds import bounded
from khien.collect.syslog_framing import one_line
from khien.collect.syslog_parcels import Gatherer, Limits
from khien.collect.syslog_peers import Origin, Peer, ResolveSource, plain_address
from khien.collect.syslog_recvmmsg import BATCH, MSG_WAITFORONE, Datagrams, kernel_drops, receive_time_out, widen
from khien.errors import KhienError

log = structlog.get_logger()
_HANDED_OVER = 64 << 20
_KNOWN = 65_536
_GATHER_SECONDS = 0.002


class PortError(KhienError):
    """A listener cannot have its address and port."""


@dataclass(slots=True)
class DatagramFigures:
    """What happened on UDP sockets since the start."""

    received: int = 0
    oversized: int = 0
    """Messages cut off at the longest length."""
    refused: int = 0
    """Datagrams of senders that stand for no source."""
    empty: int = 0
    kernel_drops: int = 0
    """Datagrams the kernel dropped because they came faster than they could be read."""
    kernel_counts: bool = True
    """Whether the kernel tells of its drops."""
    receive_buffer: int = 0
    """Bytes of kernel buffer that were given."""


class DatagramSocket:
    """One UDP port. `start` and `stop` are called in the event loop."""

    def __init__(
        self,
        limits: Limits,
        resolve: ResolveSource,
        gatherer: Callable[[Origin], Gatherer],
        figures: DatagramFigures,
    ) -> None:
        self._limits = limits
        self._resolve = resolve
        self._gatherer = gatherer
        self._figures = figures
        self._known: dict[bytes, Gatherer | None] = {}
        self._batches: deque[list[tuple[bytes, bytes]]] = deque()
        self._bytes_in = 0  # counted by the thread alone
        self._bytes_out = 0  # counted by the loop alone
        self._stopping = threading.Event()
        self._loop = asyncio.get_running_loop()
        self._thread: threading.Thread | None = None
        self._socket: socket.socket | None = None
        self._drops = 0
        self.port = 0

    def start(self, host: str, port: int) -> int:
        """Bind and receive; the port number (useful when `port` is 0). Raises PortError."""
        try:
            family = socket.getaddrinfo(host or "::", port, type=socket.SOCK_DGRAM, flags=socket.AI_PASSIVE)[0][0]
            handle = socket.socket(family, socket.SOCK_DGRAM)
            if family == socket.AF_INET6:
                handle.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
            handle.bind((host or "::", port))
        except OSError as error:
            raise PortError(f"UDP port {port} cannot be had: {error.strerror}", host) from error
        given = widen(handle, self._limits.receive_buffer)
        self._figures.receive_buffer = given
        if given < self._limits.receive_buffer:
            wanted = self._limits.receive_buffer
            log.warning("syslog_udp_buffer_small", bytes=given, wanted=wanted, remedy="raise net.core.rmem_max")
        receive_time_out(handle, 0.2)
        self._socket = handle
        self.port = handle.getsockname()[1]
        self._thread = threading.Thread(target=self._receive, name=f"syslog udp {self.port}", daemon=True)
        self._thread.start()
        return self.port

    async def stop(self) -> None:
        """Take what the kernel holds, then close."""
        self._stopping.set()
        if self._thread is not None:
            await self._loop.run_in_executor(None, self._thread.join)
        self._deliver()
        self.count_drops()
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def reload(self) -> None:
        """Ask again which source every address stands for."""
        self._known.clear()

    def count_drops(self) -> None:
        """Bring the kernel's count up to date in the figures."""
        if self._socket is None:
            return
        drops = kernel_drops(self._socket)
        if drops is None:
            self._figures.kernel_counts = False
            return
        new = (drops - self._drops) & 0xFFFFFFFF
        self._drops = drops
        if new:
            self._figures.kernel_drops += new
            log.warning("syslog_udp_dropped_by_kernel", port=self.port, datagrams=new)

    def _receive(self) -> None:
        """The thread: receive, hand over, wait a little so that more come at once."""
        assert self._socket is not None
        datagrams = Datagrams(self._socket)
        while True:
            last = self._stopping.is_set()
            try:
                batch = datagrams.receive(socket.MSG_DONTWAIT if last else MSG_WAITFORONE)
            except OSError as error:
                log.error("syslog_udp_failed", port=self.port, error=str(error))
                time.sleep(0.1)
                batch = []
            if batch:
                self._bytes_in += sum(len(data) for _, data in batch)
                first = not self._batches
                self._batches.append(batch)
                if first:
                    self._loop.call_soon_threadsafe(self._deliver)
                while self._bytes_in - self._bytes_out > _HANDED_OVER and not self._stopping.is_set():
                    time.sleep(0.005)  # the kernel's buffer takes the rest, and counts what it drops
            elif last:
                return
            if len(batch) < BATCH and not last:
                time.sleep(_GATHER_SECONDS)

    def _deliver(self) -> None:
        figures = self._figures
        while self._batches:
            texts: dict[bytes, list[bytes]] = {}
            batch = self._batches.popleft()
            figures.received += len(batch)
            self._bytes_out += sum(len(data) for _, data in batch)
            for sender, data in batch:
                texts.setdefault(sender, []).append(data)
            for sender, its in texts.items():
                self._add(sender, its)

    def _add(self, sender: bytes, texts: list[bytes]) -> None:
        gatherer = self._known[sender] if sender in self._known else self._find(sender)
        count = len(texts)
        if gatherer is None:
            self._figures.refused += count
        elif gatherer.over_rate():
            gatherer.figures.dropped["over the rate"] += count
        elif gatherer.waiting > self._limits.udp_waiting_bytes:
            gatherer.figures.dropped["spool full"] += count
        else:
            lines = [line for text in texts if (line := one_line(text))]
            self._figures.empty += count - len(lines)
            lines.append(b"")
            block, oversized = bounded(b"\n".join(lines), gatherer.origin.max_line or self._limits.max_line)
            self._figures.oversized += oversized
            gatherer.add(block, len(lines) - 1)

    def _find(self, sender: bytes) -> Gatherer | None:
        address = plain_address(str(ipaddress.ip_address(sender)))
        origin = self._resolve(Peer("udp", address, self.port))
        gatherer = self._gatherer(origin) if origin is not None else None
        if origin is None:
            log.info("syslog_sender_refused", address=address, transport="udp", names=[])
        if len(self._known) >= _KNOWN:
            self._known.clear()
        self._known[sender] = gatherer
        return gatherer
