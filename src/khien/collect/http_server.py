"""The HTTP collector: `/v1/ingest`, Elasticsearch `_bulk`, OTLP logs, `/health`, `/metrics`, in one asyncio process."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import time
from collections.abc import Callable
from typing import Any

import structlog

from khien.collect.counters import Counters
from khien.collect.http_connection import Connection
from khien.collect.http_requests import AppendsParcels, Requests
from khien.collect.limits import Places
from khien.collect.settings import Address, Config, Source, Tls
from khien.errors import KhienError

log = structlog.get_logger()


class ListenError(KhienError):
    """An address cannot be listened on, or its certificate cannot be used."""


class HttpCollector:
    """Receives events over HTTP and answers once they are synced to the spool.

        collector = HttpCollector(spool, config, Counters(spool))
        await collector.start()
        ...
        collector.configure(new_config)   # sources, keys, limits, certificate; listeners stay as they are
        await collector.stop()

    `clock` gives seconds since 1970 UTC. `requests.metrics_text` and `requests.healthy` are hooks for
    what `/metrics` and `/health` say.
    """

    def __init__(
        self, spool: AppendsParcels, config: Config, counters: Counters, clock: Callable[[], float] = time.time
    ) -> None:
        self.requests = Requests(spool, config, counters, clock)
        self.counters = counters
        self.limits = config.limits
        self.held = 0
        self.stopping = False
        self.addresses: list[tuple[Address, bool]] = []
        self._config = config
        self._servers: list[asyncio.Server] = []
        self._connections: set[Connection] = set()
        self._by_address = Places()
        self._by_source = Places()
        self._tls: ssl.SSLContext | None = None
        self._sweeper: asyncio.Task[None] | None = None
        counters.gauges["khien_http_connections"] = ("Open connections", lambda: len(self._connections))
        counters.gauges["khien_http_held_bytes"] = ("Bytes of request bodies in memory", lambda: self.held)

    async def start(self) -> None:
        """Listen on the configured addresses; `addresses` then holds (address, whether TLS) with real ports.

        Raises `ListenError`.
        """
        listen = self._config.listen
        if listen.https and listen.tls:
            self._tls = server_tls(listen.tls)
        try:
            for address in listen.http:
                await self._listen(address, None)
            for address in listen.https:
                await self._listen(address, self._tls)
        except ListenError:
            await self.stop(0)
            raise
        self._sweeper = asyncio.create_task(self._sweep())

    async def _listen(self, address: Address, tls: ssl.SSLContext | None) -> None:
        loop = asyncio.get_running_loop()
        options: dict[str, Any] = {"backlog": 1024, "reuse_address": True}
        if tls is not None:
            options |= {"ssl": tls, "ssl_handshake_timeout": self.limits.head_seconds}
        try:
            server = await loop.create_server(lambda: Connection(self), address.host or None, address.port, **options)
        except OSError as error:
            remedy = "Stop what uses the port, or choose another"
            raise ListenError(f"cannot listen: {error.strerror or error}", str(address), remedy) from error
        self._servers.append(server)
        port = server.sockets[0].getsockname()[1]
        self.addresses.append((Address(address.host, port), tls is not None))
        log.info("listening", kind="https" if tls else "http", address=str(self.addresses[-1][0]))

    def configure(self, config: Config) -> None:
        """Use a new configuration: sources, keys and limits at once, the certificate for new connections.

        Listeners stay; whether they changed is for the caller to compare. Raises `ListenError` for a
        certificate that cannot be used; nothing changes then.
        """
        if self._tls is not None and config.listen.tls:
            load_certificate(self._tls, config.listen.tls)
        self._config = config
        self.limits = config.limits
        self.requests.configure(config)

    async def stop(self, seconds: float = 10.0) -> None:
        """Take no new connections, let requests under way end for so many seconds, close the rest."""
        self.stopping = True
        deadline = time.monotonic() + seconds
        loop = asyncio.get_running_loop()
        # asyncio forgets, open, a connection that was accepted just before its server closed: accept no
        # more, let `enter` turn those away, and close then.
        for server in self._servers:
            for listener in server.sockets:
                with contextlib.suppress(RuntimeError, ValueError):
                    loop.remove_reader(listener.fileno())
        await asyncio.sleep(0.02)
        for server in self._servers:
            server.close()
        while self._connections and time.monotonic() < deadline:
            for connection in list(self._connections):
                connection.sweep(time.monotonic())
            await asyncio.sleep(0.05)
        for connection in list(self._connections):
            connection.abort()
        if self._sweeper is not None:
            self._sweeper.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._sweeper
        self._servers.clear()
        self.addresses.clear()

    # What connections ask of their server

    def enter(self, connection: Connection) -> bool:
        """Admit a new connection; False when there are too many (in all, or from its address), or it stops."""
        if self.stopping:
            return False
        crowded = len(self._connections) >= self.limits.connections
        if crowded or not self._by_address.enter(connection.peer, self.limits.connections_per_address):
            self.counters.refused("", "connections")
            return False
        self._connections.add(connection)
        return True

    def leave(self, connection: Connection, source: str) -> None:
        """Forget a connection that `enter` admitted."""
        self._connections.discard(connection)
        self._by_address.leave(connection.peer)
        if source:
            self._by_source.leave(source)

    def join(self, source: Source, before: str) -> bool:
        """Count a connection for a source, and no longer for the one `before`; False when it has too many."""
        if not self._by_source.enter(source.id, source.connections):
            return False
        if before:
            self._by_source.leave(before)
        return True

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(1.0)
            now = time.monotonic()
            for connection in list(self._connections):
                connection.sweep(now)


def server_tls(tls: Tls) -> ssl.SSLContext:
    """A TLS context for servers: TLS 1.2 and newer, with client certificates where asked for."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    load_certificate(context, tls)
    return context


def load_certificate(context: ssl.SSLContext, tls: Tls) -> None:
    """Load certificate, key and client CA into a context in use; raises `ListenError`."""
    try:
        context.load_cert_chain(tls.certificate, tls.private_key)
        if tls.client_ca is not None:
            context.load_verify_locations(tls.client_ca)
            context.verify_mode = ssl.CERT_REQUIRED
    except (OSError, ssl.SSLError) as error:
        where = f"{tls.certificate}, {tls.private_key}"
        raise ListenError(f"the certificate cannot be used: {error}", where, "Check that the files fit") from error
